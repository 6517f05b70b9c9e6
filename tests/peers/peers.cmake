# Small clients written on other projects' libraries, so that ours isn't only tested against itself. Each is built where its library is.
pkg_check_modules(RE IMPORTED_TARGET libre)
if(RE_FOUND)
    add_executable(stun_tcp_re ${CMAKE_CURRENT_LIST_DIR}/stun_tcp_re.c)
    set_target_properties(stun_tcp_re PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/peers)
    add_dependencies(threads_tests stun_tcp_re)
    target_compile_options(stun_tcp_re PRIVATE -Wno-conversion -Wno-sign-conversion -Wno-cast-qual -Wno-strict-prototypes)
    target_link_libraries(stun_tcp_re PRIVATE PkgConfig::RE)
endif()
