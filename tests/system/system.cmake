# Each test_*.py here is one ctest test against the real programs of this build. The system's python3 runs them: its packages
# are Debian's. The first line may be a comment with settings: "timeout: SECONDS"; "serial" keeps others from running beside it;
# "alone" keeps it out of the run under the thread sanitizer; "heavy" counts it as two of those that run at a time.
find_program(BERTH_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

file(GLOB SYSTEM_TESTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test_*.py)
foreach(source ${SYSTEM_TESTS})
    get_filename_component(name ${source} NAME_WE)
    file(STRINGS ${source} first_line LIMIT_COUNT 1)
    set(timeout 300)
    if(first_line MATCHES "timeout: ([0-9]+)")
        set(timeout ${CMAKE_MATCH_1})
    endif()
    set(labels ";threads")
    if(first_line MATCHES "alone")
        set(labels "")
    endif()
    add_test(NAME system.${name}
        COMMAND ${BERTH_PYTHON} -m pytest -q -rs -p no:cacheprovider ${source}
        WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR})
    set_tests_properties(system.${name} PROPERTIES
        TIMEOUT ${timeout}
        LABELS "system${labels}"
        ENVIRONMENT "BERTH_BUILD=${CMAKE_BINARY_DIR};BERTH_SOURCE=${CMAKE_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1"
        # A file of which every test was skipped counts as skipped, and says so; "1 passed, 2 skipped" is a pass.
        SKIP_REGULAR_EXPRESSION "(^|\n)[0-9]+ skipped[^\n]* in [0-9.]+s")
    if(first_line MATCHES "heavy")
        set_tests_properties(system.${name} PROPERTIES PROCESSORS 2 COST 1000) # first: they would wait for two places until the end
    endif()
    if(first_line MATCHES "serial")
        set_tests_properties(system.${name} PROPERTIES RUN_SERIAL TRUE)
    endif()
endforeach()

# What the tests run beside the programs.
add_executable(media_client ${CMAKE_CURRENT_LIST_DIR}/programs/media_client.c)
set_target_properties(media_client PROPERTIES OUTPUT_NAME media-client)
target_link_libraries(media_client PRIVATE berth_agent_core)
add_dependencies(threads_tests media_client)
add_executable(starved_agent ${CMAKE_CURRENT_LIST_DIR}/programs/starved_agent.c)
set_target_properties(starved_agent PROPERTIES OUTPUT_NAME starved-agent)
target_link_libraries(starved_agent PRIVATE berth_agent_core)
target_link_options(starved_agent PRIVATE "LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=asprintf")
