# cmake --build build -t format / format-check: clang-format over every tracked C file.
find_program(CLANG_FORMAT clang-format)
if(CLANG_FORMAT)
    set(BERTH_C_FILES "git -C ${CMAKE_SOURCE_DIR} ls-files -co --exclude-standard '*.c' '*.h'")
    add_custom_target(format
        COMMAND sh -c "${BERTH_C_FILES} | sed 's|^|${CMAKE_SOURCE_DIR}/|' | xargs ${CLANG_FORMAT} -i" VERBATIM)
    add_custom_target(format-check
        COMMAND sh -c "${BERTH_C_FILES} | sed 's|^|${CMAKE_SOURCE_DIR}/|' | xargs ${CLANG_FORMAT} --dry-run -Werror" VERBATIM)
endif()
