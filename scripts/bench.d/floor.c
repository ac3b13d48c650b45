/* The thinnest server that lets go of its terminal and takes it up again; the limit for attaching and echo.
 *
 *   floor serve SOCKET CHILD ARGS...   one process; keeps the last 64 KiB that CHILD printed and sends them to a client
 *   floor attach SOCKET                the terminal in raw mode, to and from the socket
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { KEEP = 65536 };
static char b[KEEP];

static int all(int fd, const char *p, int n) {
    while (n > 0) {
        int k = write(fd, p, n);
        if (k <= 0) return -1;
        p += k, n -= k;
    }
    return 0;
}

static int attach(int sock) {
    struct termios t;
    if (!tcgetattr(0, &t)) {
        cfmakeraw(&t);
        tcsetattr(0, TCSANOW, &t);
    }
    for (;;) {
        struct pollfd p[2] = {{0, POLLIN, 0}, {sock, POLLIN, 0}};
        poll(p, 2, -1);
        for (int i = 0; i < 2; i++)
            if (p[i].revents) {
                int k = read(p[i].fd, b, sizeof b);
                if (k <= 0 || all(i ? 1 : sock, b, k)) return 0;
            }
    }
}

static int serve(int sock, char **argv) {
    if (fork()) return 0;
    setsid();
    struct winsize size = {50, 200, 0, 0};
    int master, client = -1, kept = 0;
    if (!forkpty(&master, 0, 0, &size)) {
        execvp(argv[0], argv);
        _exit(127);
    }
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    char *history = malloc(2 * KEEP);
    for (;;) {
        struct pollfd p[3] = {{master, POLLIN, 0}, {sock, POLLIN, 0}, {client, POLLIN, 0}};
        poll(p, 3, -1);
        if (p[0].revents) {
            int k = read(master, b, sizeof b);
            if (k <= 0) return 0;
            if (client >= 0 && all(client, b, k)) close(client), client = -1;
            if (kept + k > 2 * KEEP) memmove(history, history + kept - KEEP, KEEP), kept = KEEP;
            memcpy(history + kept, b, k);
            kept += k;
        }
        if (p[1].revents) {
            if (client >= 0) close(client);
            client = accept(sock, 0, 0);
            int k = kept > KEEP ? KEEP : kept;
            all(client, history + kept - k, k);
        } else if (client >= 0 && p[2].revents) {
            int k = read(client, b, sizeof b);
            if (k <= 0) close(client), client = -1;
            else all(master, b, k);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, argv[2], sizeof a.sun_path - 1);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    signal(SIGPIPE, SIG_IGN);
    if (argv[1][0] == 'a') return connect(sock, (void *)&a, sizeof a) ? 1 : attach(sock);
    unlink(a.sun_path);
    if (bind(sock, (void *)&a, sizeof a) || listen(sock, 8)) return 1;
    return serve(sock, argv + 3);
}
