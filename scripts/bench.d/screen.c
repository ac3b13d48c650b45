/* screen LINES READY - a full-screen program that never redraws by itself.
 *
 * Prints LINES lines, enters the alternate screen, fills it with colours and draws the mark MARK7q last, at the bottom;
 * then makes the file READY and rests. Whoever attaches must be shown the screen by the one who kept it. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    for (int i = 0; i < atoi(argv[1]); i++)
        printf("\x1b[3%dmline %6d\x1b[0m of what was printed before, and some more text so that it is as long as usual\n",
               i % 8, i);
    fflush(stdout);
    signal(SIGWINCH, SIG_IGN);
    struct termios t;
    if (!tcgetattr(0, &t)) {
        cfmakeraw(&t);
        tcsetattr(0, TCSANOW, &t);
    }
    struct winsize w = {50, 200, 0, 0};
    ioctl(1, TIOCGWINSZ, &w);
    printf("\x1b[?1049h\x1b[2J\x1b[H");
    for (int row = 0; row < w.ws_row - 1; row++) {
        printf("\x1b[%d;1H", row + 1);
        for (int col = 0; col + 10 <= w.ws_col; col += 10)
            printf("\x1b[%d;38;5;%dmr%02dc%03d_ab", (row + col / 10) % 3 ? 22 : 1, (row * 7 + col) % 256, row, col);
    }
    printf("\x1b[0m\x1b[%d;%dHMARK7q", w.ws_row, w.ws_col - 20);
    fflush(stdout);
    tcdrain(1);
    FILE *f = fopen(argv[2], "w");
    if (f) fclose(f);
    char b[256];
    while (read(0, b, sizeof b) > 0) {}
    return 0;
}
