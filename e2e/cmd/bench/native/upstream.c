// The upstream of the benchmarks: an HTTP/1.1 server that costs as little as one can, so that what is measured is the proxy
// before it. One thread, epoll, answers that lie ready: 1 KiB, or 1 MiB if the path ends in "/1m". A path that ends in "/echo" is
// answered with the head of the request. It takes GET, and POST with a Content-Length, with keep-alive and nothing else; whatever it
// does not understand ends the connection.
//
// Usage: upstream PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { head_max = 8192, connections_max = 20000, events_max = 256 };

struct answer {
  char *bytes;
  size_t length;
};

struct connection {
  char head[head_max];
  size_t read;                   // bytes of head
  const struct answer *answer;   // what is being written; NULL: nothing
  size_t written;                // of answer
  struct answer echo;            // an answer of its own
  size_t body_left;              // bytes of the request's body that are still to come
};

static struct answer small, large;
static struct connection *connections[connections_max];
static int poll_fd;

// make_answer makes an answer with a body of so many bytes: those given, or any.
static struct answer make_answer(const char *body, size_t length) {
  char head[256];
  int n = snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n", length);
  struct answer a = {malloc(n + length), n + length};
  if (a.bytes == NULL) abort();
  memcpy(a.bytes, head, n);
  if (body != NULL) memcpy(a.bytes + n, body, length);
  else memset(a.bytes + n, 'x', length);
  return a;
}

static void watch(int fd, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(poll_fd, operation, fd, &event) != 0) perror("epoll_ctl");
}

static void end(int fd) {
  free(connections[fd]->echo.bytes);
  free(connections[fd]);
  connections[fd] = NULL;
  close(fd);
}

// write_answer goes on with an answer. 1: all written, 0: the socket is full, -1: the connection is over.
static int write_answer(int fd, struct connection *c) {
  while (c->written < c->answer->length) {
    ssize_t n = send(fd, c->answer->bytes + c->written, c->answer->length - c->written, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->written += n;
  }
  c->answer = NULL;
  return 1;
}

static int ends_in(const char *path, const char *after, const char *word) {
  size_t length = strlen(word);
  return (size_t)(after - path) > length && memcmp(after - length, word, length) == 0;
}

static const struct answer *choose(struct connection *c, const char *stop) {
  const char *head = c->head;
  const char *path = memchr(head, ' ', stop - head);
  const char *after = path ? memchr(path + 1, ' ', stop - path - 1) : NULL;
  if (after == NULL || (memcmp(head, "GET ", 4) != 0 && memcmp(head, "POST ", 5) != 0)) return NULL;
  if (ends_in(path, after, "/1m")) return &large;
  if (!ends_in(path, after, "/echo")) return &small;
  free(c->echo.bytes);
  c->echo = make_answer(head, stop + 4 - head);
  return &c->echo;
}

// begin reads the head of a request that is whole, and takes as much of its body as is there. -1: it is not understood.
static int begin(struct connection *c, char *stop) {
  *stop = 0;
  char *length = strcasestr(c->head, "\r\ncontent-length:");
  *stop = '\r';
  c->body_left = length ? strtoul(length + 17, NULL, 10) : 0;
  c->answer = choose(c, stop);
  if (c->answer == NULL) return -1;
  c->written = 0;
  size_t taken = stop + 4 - c->head, here = c->read - taken;
  size_t body = here < c->body_left ? here : c->body_left;
  c->body_left -= body;
  c->read -= taken + body;
  memmove(c->head, c->head + taken + body, c->read);
  return 0;
}

// answer_all answers the requests that are whole. As write_answer.
static int answer_all(int fd, struct connection *c) {
  for (;;) {
    if (c->answer == NULL) {
      char *stop = memmem(c->head, c->read, "\r\n\r\n", 4);
      if (stop == NULL) return c->read == head_max ? -1 : 1;
      if (begin(c, stop) != 0) return -1;
    }
    if (c->body_left > 0) return 1;
    int state = write_answer(fd, c);
    if (state != 1) return state;
  }
}

// receive reads what is there: of a body, which is thrown away, or of a head. 1: something, 0: nothing yet, -1: it is over.
static int receive(int fd, struct connection *c) {
  static char rubbish[1 << 18];
  size_t wanted = c->body_left < sizeof rubbish ? c->body_left : sizeof rubbish;
  ssize_t n = wanted > 0 ? recv(fd, rubbish, wanted, 0) : recv(fd, c->head + c->read, head_max - c->read, 0);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) return -1;
  if (wanted > 0) c->body_left -= n;
  else c->read += n;
  return 1;
}

static void serve(int fd, unsigned events) {
  struct connection *c = connections[fd];
  int writing = c->answer != NULL && c->body_left == 0;
  if (!writing) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    int state = receive(fd, c);
    if (state < 0) end(fd);
    if (state <= 0) return;
  }
  int state = answer_all(fd, c);
  if (state == 0 && !writing) watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
  if (state == 1 && writing) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
  if (state < 0) end(fd);
}

static void take(int listener) {
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    if (fd >= connections_max || (connections[fd] = calloc(1, sizeof(struct connection))) == NULL) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  small = make_answer(NULL, 1 << 10);
  large = make_answer(NULL, 1 << 20);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
    perror("listening");
    return 1;
  }
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  struct epoll_event events[events_max];
  for (;;) {
    int n = epoll_wait(poll_fd, events, events_max, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener) take(listener);
      else if (connections[events[i].data.fd] != NULL) serve(events[i].data.fd, events[i].events);
    }
  }
}
