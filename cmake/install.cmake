# What `cmake --install` puts where: the library for find_package(whimbrel), the binary, its manual
# and its completions.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---------------------------------------------------------------- the library

# One archive of all layers: how they are cut is nobody else's business.
get_property(layers GLOBAL PROPERTY WHIMBREL_LAYERS)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(whimbrel_library STATIC ${objects})
add_library(whimbrel::whimbrel ALIAS whimbrel_library)
set_target_properties(whimbrel_library PROPERTIES OUTPUT_NAME whimbrel EXPORT_NAME whimbrel
  LINKER_LANGUAGE CXX)
target_compile_features(whimbrel_library PUBLIC cxx_std_20)
target_include_directories(whimbrel_library INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# whimbrelConfig.cmake finds the same again.
target_link_libraries(whimbrel_library PRIVATE fmt::fmt yaml-cpp csv PkgConfig::xxhash PkgConfig::zstd
  PkgConfig::simdjson SQLite::SQLite3 CURL::libcurl OpenSSL::Crypto PostgreSQL::PostgreSQL ZLIB::ZLIB
  Threads::Threads)

# The headers of include/whimbrel, and beside them the few of src/ that they include: an include in
# quotes looks beside its own file first, and so finds these without another -I.
install(DIRECTORY include/whimbrel TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
foreach(header base/events.h base/result.h base/stop.h phase/names.h)
  cmake_path(GET header PARENT_PATH folder)
  install(FILES src/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/whimbrel/${folder})
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/whimbrel)
install(TARGETS whimbrel_library EXPORT whimbrel ARCHIVE)
install(EXPORT whimbrel NAMESPACE whimbrel:: FILE whimbrelTargets.cmake DESTINATION ${package})
configure_package_config_file(cmake/whimbrelConfig.cmake.in
  ${CMAKE_BINARY_DIR}/package/whimbrelConfig.cmake INSTALL_DESTINATION ${package})
# Until 1.0 a minor version may change a call.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/whimbrelConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/whimbrelConfig.cmake
  ${CMAKE_BINARY_DIR}/package/whimbrelConfigVersion.cmake DESTINATION ${package})

# ---------------------------------------------------------------- the binary

# What a shell and `man` look for, in their usual places. Completion is printed by the binary itself.
install(TARGETS whimbrel RUNTIME)
install(FILES docs/man/whimbrel.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
set(completions ${CMAKE_BINARY_DIR}/completions)
foreach(shell bash zsh fish)
  set(script ${completions}/whimbrel.${shell})
  add_custom_command(OUTPUT ${script}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
    COMMAND $<TARGET_FILE:whimbrel> completion ${shell} > ${script}
    DEPENDS whimbrel VERBATIM)
  list(APPEND completion_scripts ${script})
endforeach()
add_custom_target(completions ALL DEPENDS ${completion_scripts})
install(FILES ${completions}/whimbrel.bash RENAME whimbrel
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/whimbrel.zsh RENAME _whimbrel
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completions}/whimbrel.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
