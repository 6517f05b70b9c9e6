# The layers are kept by tests: what the pure library may import, and that every header stands alone.
add_test(NAME layers.imports
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/imports ${CMAKE_NM} $<TARGET_FILE:berth_core>)
add_test(NAME layers.headers
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/headers ${CMAKE_C_COMPILER} ${CMAKE_SOURCE_DIR})
set_tests_properties(layers.imports layers.headers PROPERTIES TIMEOUT 120)
