/* gen plain|tui MB RESULT [GO [MB_PER_S]] - prints, and measures how long the terminal took to take it.
 *
 * Waits until the file GO exists, writes MB megabytes (10^6 bytes) to stdout with the terminal's ordinary settings,
 * drains, and writes "bytes start_ns end_ns" (monotonic) to RESULT. MB 0: for ever, as a noisy neighbour.
 * Then it stays, so that its terminal can be looked at. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4 << 20, ROOM = 8192 };

static const char *WORDS[] = {"the",  "agent",   "compiled", "crate", "error[E0502]:", "borrow", "src/main.rs:42", "test",
                              "ok",   "running", "warning",  "unused", "fn",           "let",    "mut"};
static unsigned seed = 12345;

static unsigned rnd(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static const char *word(void) { return WORDS[rnd() % (sizeof WORDS / sizeof *WORDS)]; }

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void put(const char *p, size_t n) {
    while (n) {
        ssize_t k = write(1, p, n);
        if (k <= 0) _exit(3);
        p += k, n -= k;
    }
}

/* Lines as a compiler prints them. */
static size_t plain(char *b) {
    size_t n = 0;
    while (n < BLOCK) {
        int length = 20 + rnd() % 100, k = 0;
        while (k < length) k += sprintf(b + n + k, "%s ", word());
        n += k;
        b[n++] = '\n';
    }
    return n;
}

/* Whole frames of a full-screen program: cursor moves, colours, erased line ends. */
static size_t frames(char *b) {
    size_t n = 0;
    for (unsigned frame = 0; n < BLOCK; frame++) {
        n += sprintf(b + n, "\x1b[?2026h\x1b[?25l\x1b[H");
        for (int row = 1; row <= 48; row++)
            n += sprintf(b + n,
                         "\x1b[%d;1H\x1b[38;5;%um|\x1b[0m \x1b[1m%s\x1b[22m \x1b[38;2;%u;%u;%um%s %s\x1b[39m "
                         "\x1b[48;5;%um%5u\x1b[49m %s %s\x1b[K",
                         row, rnd() % 256, word(), rnd() % 256, rnd() % 256, rnd() % 256, word(), word(), rnd() % 256,
                         rnd() % 100000, word(), word());
        n += sprintf(b + n, "\x1b[49;1H\x1b[2K\x1b[36m*\x1b[0m frame %u\x1b[?25h\x1b[?2026l", frame);
    }
    return n;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    char *block = malloc(BLOCK + 64 * ROOM);
    size_t size = argv[1][0] == 'p' ? plain(block) : frames(block), at = 0;
    long long total = atof(argv[2]) * 1e6, done = 0;
    double rate = argc > 5 ? atof(argv[5]) * 1e6 : 0;
    size_t chunk = rate > 0 ? rate / 50 : 65536;
    struct stat st;
    if (argc > 4 && argv[4][0])
        while (stat(argv[4], &st)) usleep(1000);
    long long start = now();
    while (!total || done < total) {
        size_t k = size - at;
        if (k > chunk) k = chunk;
        if (total && (long long)k > total - done) k = total - done;
        put(block + at, k);
        at = at + k == size ? 0 : at + k;
        done += k;
        if (rate > 0) {
            long long ahead = start + (long long)(done / rate * 1e9) - now();
            struct timespec t = {ahead / 1000000000, ahead % 1000000000};
            if (ahead > 0) nanosleep(&t, 0);
        }
    }
    put("\x1b[0m\r\nGENDONE\r\n", 15);
    tcdrain(1);
    long long end = now();
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%s.tmp", argv[3]);
    FILE *f = fopen(tmp, "w");
    if (!f) return 4;
    fprintf(f, "%lld %lld %lld\n", done, start, end);
    fclose(f);
    rename(tmp, argv[3]);
    for (;;) pause();
}
