# berth-load against its own yardstick, and the shape of loadtest/compare's options.
add_test(NAME loadtest.berth-load
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/berth_load.py $<TARGET_FILE:berth-load> ${CMAKE_SOURCE_DIR})
set_tests_properties(loadtest.berth-load PROPERTIES TIMEOUT 120)

add_test(NAME loadtest.placement
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/placement.py $<TARGET_FILE:berth-load> ${CMAKE_SOURCE_DIR})
set_tests_properties(loadtest.placement PROPERTIES TIMEOUT 300)

add_test(NAME loadtest.streams
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/streams.py $<TARGET_FILE:berth-load> ${CMAKE_SOURCE_DIR})
set_tests_properties(loadtest.streams PROPERTIES TIMEOUT 120)
