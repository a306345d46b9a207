# covey_library(NAME proto_mqtt SOURCES a.c b.c DEPS proto_topic LIBS PkgConfig::X)
# One folder is one static library. Headers are included by their path from the top of the tree,
# as in #include "proto/mqtt/packet.h". LIBS are system libraries, private to the folder.
function(covey_library)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(${ARG_NAME} STATIC ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_LIBS})
endfunction()
