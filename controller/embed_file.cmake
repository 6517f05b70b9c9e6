# cmake -DIN=file -DOUT=file.c -DNAME=symbol -P embed_file.cmake: the file's bytes as `const char symbol[]` with its size in symbol_len.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
file(WRITE ${OUT} "#include <stddef.h>\nextern const char ${NAME}[];\nextern const size_t ${NAME}_len;\n"
    "const char ${NAME}[] = {${bytes} 0};\nconst size_t ${NAME}_len = sizeof(${NAME}) - 1;\n")
