# The dashboard as a C file: installed with npm, built with Vite, written as a table of compressed files. It needs npm
# and, the first time, its registry; without npm the program is built without the dashboard.
set(COVEY_DASHBOARD AUTO CACHE STRING "build the dashboard into the program: ON, OFF, or AUTO: when npm is there")
find_program(COVEY_NPM npm)
find_program(COVEY_NODE NAMES node nodejs)
if(COVEY_DASHBOARD STREQUAL "AUTO")
  if(COVEY_NPM AND COVEY_NODE)
    set(with_dashboard ON)
  else()
    set(with_dashboard OFF)
    message(STATUS "npm is not there: the dashboard is left out")
  endif()
else()
  set(with_dashboard ${COVEY_DASHBOARD})
  if(with_dashboard AND NOT (COVEY_NPM AND COVEY_NODE))
    message(FATAL_ERROR "COVEY_DASHBOARD=ON needs npm and node")
  endif()
endif()

set(DASHBOARD_SOURCE ${CMAKE_CURRENT_LIST_DIR}/../static_none.c)
if(with_dashboard)
  set(here ${CMAKE_CURRENT_LIST_DIR})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/dashboard)
  set(DASHBOARD_SOURCE ${out}/static_files.c)
  # A folder changes when a file comes or goes. CONFIGURE_DEPENDS would look at every build, and none would find that
  # there is nothing to do.
  file(GLOB_RECURSE entries LIST_DIRECTORIES true ${here}/src/* ${here}/public/* ${here}/scripts/*)
  set(inputs "")
  foreach(entry ${here}/src ${here}/public ${here}/scripts ${entries})
    if(IS_DIRECTORY ${entry})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${entry})
    else()
      list(APPEND inputs ${entry})
    endif()
  endforeach()
  list(APPEND inputs ${here}/index.html ${here}/vite.config.ts ${here}/package.json ${here}/package-lock.json)
  add_custom_command(OUTPUT ${out}/static_files.c
    COMMAND ${here}/scripts/install ${COVEY_NPM}
    COMMAND ${COVEY_NODE} node_modules/vite/bin/vite.js build --logLevel warn --emptyOutDir --outDir ${out}/dist
    COMMAND ${COVEY_NODE} scripts/size.js ${out}/dist
    COMMAND ${COVEY_NODE} scripts/embed.js ${out}/dist ${out}/static_files.c
    DEPENDS ${inputs} WORKING_DIRECTORY ${here} COMMENT "Building the dashboard" VERBATIM)
endif()
