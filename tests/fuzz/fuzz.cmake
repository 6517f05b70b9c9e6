# Each fuzz_NAME.c is one libFuzzer target with its corpus in corpus/NAME. With -DBERTH_FUZZ=ON (clang) it is built as a
# fuzzer; with the ordinary tests a driver runs its corpus once, under ctest.
file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fuzz_*.c)

if(BERTH_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "BERTH_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang")
    endif()
    # The libraries' own objects have to be instrumented as well, so the sources are compiled into a library of the fuzzers'.
    get_target_property(core_sources berth_core SOURCES)
    get_target_property(media_sources berth_media SOURCES)
    get_target_property(ticket_sources berth_ticket SOURCES)
    list(APPEND core_sources ${media_sources} ${ticket_sources})
    list(TRANSFORM core_sources PREPEND ${CMAKE_SOURCE_DIR}/common/ REGEX "^[^/]")
    add_library(berth_core_fuzzed STATIC ${core_sources})
    target_include_directories(berth_core_fuzzed PUBLIC ${CMAKE_SOURCE_DIR}/common)
    target_link_libraries(berth_core_fuzzed PUBLIC PkgConfig::JANSSON PkgConfig::SODIUM PkgConfig::SRTP
        OpenSSL::Crypto m)
    target_compile_options(berth_core_fuzzed PUBLIC -fsanitize=fuzzer-no-link,address,undefined
        -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1)
endif()

# What a target fuzzes beyond core: fuzz_NAME_SOURCES.
set(fuzz_replay_SOURCES csv.c names.c fail.c world.c world_matrix.c events.c)
list(TRANSFORM fuzz_replay_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/loadtest/replay/)
get_target_property(fuzz_media_home_SOURCES berth_media_home SOURCES)
set(fuzz_feedback_SOURCES ${fuzz_media_home_SOURCES})
list(FILTER fuzz_feedback_SOURCES INCLUDE REGEX "/feedback[a-z_]*\\.c$")
list(APPEND fuzz_media_home_SOURCES ${CMAKE_SOURCE_DIR}/tests/support/media/sim.c)
set(fuzz_config_SOURCES common/sys/config.c common/sys/config_value.c common/sys/config_print.c
    common/sys/file.c)
set(fuzz_control_SOURCES node/registration.c node/links.c node/media/plan.c)
set(fuzz_assignment_SOURCES agent/call_assignment.c common/path/ladder_plan.c common/path/ladder_place.c)
set(fuzz_network_SOURCES agent/wpad.c)
set(fuzz_policy_SOURCES controller/meeting_policy.c)
set(fuzz_route_SOURCES controller/router.c controller/pgarray.c)
foreach(name config control assignment network policy route)
    list(TRANSFORM fuzz_${name}_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
endforeach()
# What they link beyond core and media, as it is.
set(fuzz_config_LIBRARIES PkgConfig::INIH)
set(fuzz_assignment_LIBRARIES berth_probe)
set(fuzz_network_LIBRARIES berth_agent_core)

foreach(source ${FUZZ_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    string(REPLACE fuzz_ "" corpus ${name})
    if(BERTH_FUZZ)
        add_executable(${name} ${source} ${${name}_SOURCES})
        target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests)
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link,address,undefined -g -O1)
        target_link_libraries(${name} PRIVATE berth_core_fuzzed wslay ${${name}_LIBRARIES})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    endif()
    if(BERTH_TESTS)
        add_executable(${name}_corpus ${source} ${${name}_SOURCES} ${CMAKE_CURRENT_LIST_DIR}/driver.c)
        target_include_directories(${name}_corpus PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests)
        target_link_libraries(${name}_corpus PRIVATE berth_media wslay ${${name}_LIBRARIES})
        add_test(NAME fuzz.${corpus} COMMAND ${name}_corpus ${CMAKE_CURRENT_LIST_DIR}/corpus/${corpus})
        set_tests_properties(fuzz.${corpus} PROPERTIES TIMEOUT 120)
    endif()
endforeach()

# The driver's own test: a read past an input's end is seen, however long the input is.
if(BERTH_TESTS AND BERTH_SANITIZE MATCHES address)
    add_executable(fuzz_driver ${CMAKE_CURRENT_LIST_DIR}/reads_on.c ${CMAKE_CURRENT_LIST_DIR}/driver.c)
    add_test(NAME fuzz.driver COMMAND fuzz_driver ${CMAKE_CURRENT_LIST_DIR}/corpus/sse)
    set_tests_properties(fuzz.driver PROPERTIES TIMEOUT 120
        PASS_REGULAR_EXPRESSION "heap-buffer-overflow.*READ of size 1")
endif()
