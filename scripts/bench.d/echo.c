/* echo READY - raw mode; every byte that is typed comes back. Makes the file READY once it listens. */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    struct termios t;
    if (!tcgetattr(0, &t)) {
        cfmakeraw(&t);
        tcsetattr(0, TCSANOW, &t);
    }
    FILE *f = fopen(argv[1], "w");
    if (f) fclose(f);
    char b[256];
    ssize_t k;
    while ((k = read(0, b, sizeof b)) > 0)
        if (write(1, b, k) < 0) break;
    return 0;
}
