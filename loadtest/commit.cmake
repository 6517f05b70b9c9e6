# cmake -DSOURCE=DIR -DFILE=FILE -P commit.cmake: puts the commit that is being built into a file; "-changed" where the tree isn't the commit's.
execute_process(COMMAND git -C ${SOURCE} describe --always --exclude=* --dirty=-changed
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
    set(commit unknown)
endif()
file(WRITE ${FILE} "${commit}\n")
