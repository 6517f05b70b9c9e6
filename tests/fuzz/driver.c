/* Runs a fuzz target over the files of one directory, and over each one's prefixes, as far as PREFIXES_MAX. An empty
 * directory is a failure: then nothing would be tested. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>

enum { INPUT_MAX = 1 << 20, PREFIXES_MAX = 512 };

/* On memory of just that size: the sanitizer sees a read past its end. */
static int run_on(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        return 1;
    memcpy(exact, data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 0;
}

static int run_file(const char *path)
{
    int failed = 1;
    uint8_t *data = malloc(INPUT_MAX);
    FILE *f = fopen(path, "rb");
    if (!data || !f)
        goto out;
    size_t size = fread(data, 1, INPUT_MAX, f);
    if (ferror(f))
        goto out;
    failed = run_on(data, size);
    for (size_t len = 0; !failed && len < size && len <= PREFIXES_MAX; len++)
        failed = run_on(data, len);
out:
    if (f)
        fclose(f);
    free(data);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        perror(argv[1]);
        return 1;
    }
    unsigned files = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (run_file(path) != 0) {
            perror(path);
            failed = 1;
        }
        files++;
    }
    closedir(dir);
    printf("%u files\n", files);
    return failed || files == 0;
}
