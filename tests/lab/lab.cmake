# The network lab: an internet in user space, networks out of namespaces, and a test per scenario. Needs root; ctest
# shows what was skipped for want of it. `ctest -L lab` runs it all.
set(LAB ${CMAKE_CURRENT_LIST_DIR})
set(LAB_OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/lab)
set(LAB_SOURCES ${LAB}/netmap.c ${LAB}/delayq.c ${LAB}/path.c)
add_subdirectory(${LAB})

add_executable(test_internet ${LAB}/test_internet.c ${LAB_SOURCES})
target_link_libraries(test_internet PRIVATE PkgConfig::CMOCKA)
set_target_properties(test_internet PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${LAB_OUTPUT})
add_test(NAME lab.test_internet COMMAND test_internet)
set_tests_properties(lab.test_internet PROPERTIES TIMEOUT 60 LABELS lab)

function(lab_pytest name)
    add_test(NAME lab.${name} COMMAND /usr/bin/python3 -B -m pytest -q -s -rs -p no:cacheprovider ${ARGN})
    set_tests_properties(lab.${name} PROPERTIES TIMEOUT 180 LABELS lab SKIP_RETURN_CODE 77
        ENVIRONMENT "BERTH_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

lab_pytest(itself ${LAB}/test_lab.py)
lab_pytest(quickstart ${LAB}/test_quickstart.py)
file(GLOB LAB_SCENARIOS CONFIGURE_DEPENDS ${LAB}/scenarios/*.toml)
foreach(scenario ${LAB_SCENARIOS})
    get_filename_component(name ${scenario} NAME_WE)
    lab_pytest(${name} ${LAB}/test_scenarios.py -k "[${name}]")
endforeach()
file(GLOB LAB_FIREWALLS CONFIGURE_DEPENDS ${LAB}/firewall/*.toml)
foreach(network ${LAB_FIREWALLS})
    get_filename_component(name ${network} NAME_WE)
    lab_pytest(firewall-${name} ${LAB}/test_firewall.py -k "test_firewall[${name}]")
endforeach()
file(GLOB LAB_CONNECTS CONFIGURE_DEPENDS ${LAB}/connect/*.toml)
foreach(network ${LAB_CONNECTS})
    get_filename_component(name ${network} NAME_WE)
    lab_pytest(connect-${name} ${LAB}/test_connect.py -k "test_connect[${name}]")
endforeach()
lab_pytest(firewall-mtu ${LAB}/test_firewall.py -k test_path_mtu)
set_tests_properties(lab.itself lab.rtt-accuracy PROPERTIES RUN_SERIAL ON) # they measure time
