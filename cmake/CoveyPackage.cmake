# What is installed beside the program, and the Debian package of it all:
#
#   cmake --build build/release --target package       # build/release/covey_VERSION_ARCH.deb
#
# Manual and completions are written by the program itself, so that they say what it does.
set(made ${CMAKE_BINARY_DIR}/installed)
set(pages covey.1 covey-ctl.1 covey.yaml.5)
set(shells bash zsh fish)
set(outputs "")
set(commands COMMAND ${CMAKE_COMMAND} -E make_directory ${made})
foreach(page ${pages})
  string(REGEX REPLACE "\\.[0-9]$" "" name ${page})
  list(APPEND commands COMMAND sh -c "$<TARGET_FILE:covey> man ${name} | gzip -9n >${made}/${page}.gz")
  list(APPEND outputs ${made}/${page}.gz)
endforeach()
foreach(shell ${shells})
  list(APPEND commands COMMAND sh -c "$<TARGET_FILE:covey> completion ${shell} >${made}/covey.${shell}")
  list(APPEND outputs ${made}/covey.${shell})
endforeach()
add_custom_command(OUTPUT ${outputs} ${commands} DEPENDS covey VERBATIM COMMENT "Manual and completions")
add_custom_target(manual ALL DEPENDS ${outputs})

install(FILES ${made}/covey.1.gz ${made}/covey-ctl.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${made}/covey.yaml.5.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${made}/covey.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME covey)
install(FILES ${made}/covey.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _covey)
install(FILES ${made}/covey.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# ---- the package --------------------------------------------------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME covey)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "clustered MQTT broker")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Any number of nodes are one complete MQTT 3.1, 3.1.1 and 5.0 broker. A node
keeps what it acknowledges, on a store of its own, and has a dashboard and an
HTTP API.")
# Who builds a package answers for it: dpkg's own variables, or -DCPACK_DEBIAN_PACKAGE_MAINTAINER="NAME <MAIL>".
set(maintainer "Covey maintainers <packages@covey.invalid>")
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${maintainer}" CACHE STRING "of the Debian package")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian ${CMAKE_SOURCE_DIR}/deploy/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};${PROJECT_NAME};ALL;/")
# Folders of the package are 0755, whatever the umask.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${debian}/changelog.in ${made}/changelog @ONLY)
find_program(GZIP gzip REQUIRED)
foreach(file changelog)
  execute_process(COMMAND ${GZIP} -9nf ${made}/${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
configure_file(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${made}/CHANGELOG.md COPYONLY)
execute_process(COMMAND ${GZIP} -9nfk ${made}/CHANGELOG.md COMMAND_ERROR_IS_FATAL ANY)

# These have no place under another prefix.
install(FILES ${debian}/covey.yaml DESTINATION /etc/covey COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/covey.service DESTINATION /lib/systemd/system COMPONENT debian
  EXCLUDE_FROM_ALL)
install(FILES ${debian}/copyright ${made}/changelog.gz ${made}/CHANGELOG.md.gz DESTINATION /usr/share/doc/covey
  COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/covey.yaml DESTINATION /usr/share/doc/covey/examples COMPONENT debian
  EXCLUDE_FROM_ALL)
set(CPACK_COMPONENTS_ALL Unspecified debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
include(CPack)
