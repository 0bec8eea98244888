// The open-loop loader of the benchmarks: requests begin at times that were drawn before (a Poisson process of a fixed rate and
// a fixed seed), whether or not the earlier ones were answered, and their latency counts from that intended time. A proxy that
// stalls is so charged with every request that should have begun meanwhile (no coordinated omission).
//
// Usage: BENCH_KEY=key loader PORT PATH RATE SECONDS WARM_UP_SECONDS CONNECTIONS
// It prints one line of JSON; times are in microseconds. `scheduled` requests should have begun, `completed` were answered, `in_time`
// of these before the time was over (what was begun may end later), and `requests` began after the warm-up.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { head_max = 16384, events_max = 256, drain_seconds = 5 };

struct connection {
  int fd, busy, dead;
  int64_t intended;     // when its request should have begun
  char head[head_max];
  size_t read;          // bytes of head
  int64_t body_left;    // -1: the head is not whole yet
};

static struct connection *connections;
static int count, poll_fd, timer_fd;
static int *idle, idle_first, idle_count;                       // a ring: the one that rested longest goes next
static int64_t *waiting, waiting_first, waiting_count, waiting_max; // intended times that found no connection, a ring
static char request[8192];
static size_t request_length;
static double *latencies;
static int64_t scheduled, completed, in_time, until, answered, answered_max, failed, dropped, longest_queue, measured_from;
static uint64_t state = 88172645463325252ull;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

// pause_length draws the time between two requests (xorshift64*, exponential).
static double pause_length(double rate) {
  state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
  double uniform = ((state * 2685821657736338717ull >> 11) + 1) / 9007199254740993.0;
  return -log(uniform) / rate * 1e9;
}

static void dial(struct connection *c, int port) {
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
    perror("connecting");
    exit(1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void die(struct connection *c) {
  if (c->busy) failed++;
  c->dead = 1;
  close(c->fd);
}

static void begin(struct connection *c, int64_t intended) {
  c->busy = 1, c->intended = intended, c->read = 0, c->body_left = -1;
  if (send(c->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) die(c);
}

static void rest(struct connection *c) {
  c->busy = 0;
  if (waiting_count > 0) {
    int64_t intended = waiting[waiting_first];
    waiting_first = (waiting_first + 1) % waiting_max, waiting_count--;
    begin(c, intended);
    return;
  }
  idle[(idle_first + idle_count++) % count] = c - connections;
}

static void due(int64_t intended) {
  scheduled++;
  while (idle_count > 0) {
    struct connection *c = &connections[idle[idle_first]];
    idle_first = (idle_first + 1) % count, idle_count--;
    if (c->dead) continue;
    begin(c, intended);
    return;
  }
  if (waiting_count == waiting_max) {
    dropped++;
    return;
  }
  waiting[(waiting_first + waiting_count++) % waiting_max] = intended;
  if (waiting_count > longest_queue) longest_queue = waiting_count;
}

static void finish(struct connection *c) {
  int ok = strncmp(c->head, "HTTP/1.1 200", 12) == 0;
  int64_t ended = now();
  completed++;
  if (ended <= until) in_time++;
  if (!ok) failed++;
  else if (c->intended >= measured_from && answered < answered_max) latencies[answered++] = (ended - c->intended) / 1e3;
  rest(c);
}

// head_end reads the head when it is whole. 0: it is not, 1: it is, -1: not a response that this understands.
static int head_end(struct connection *c) {
  char *stop = memmem(c->head, c->read, "\r\n\r\n", 4);
  if (stop == NULL) return c->read == head_max ? -1 : 0;
  *stop = 0;
  char *length = strcasestr(c->head, "\r\ncontent-length:");
  if (length == NULL) return -1;
  c->body_left = atoll(length + 17) - (int64_t)(c->read - (stop + 4 - c->head));
  return 1;
}

static void receive(struct connection *c) {
  static char rubbish[1 << 16];
  if (c->dead) return;
  ssize_t n = c->body_left < 0 ? recv(c->fd, c->head + c->read, head_max - c->read, MSG_DONTWAIT)
                               : recv(c->fd, rubbish, sizeof rubbish, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0 || !c->busy) {
    die(c);
    return;
  }
  if (c->body_left < 0) {
    c->read += n;
    int whole = head_end(c);
    if (whole < 0) die(c);
    if (whole <= 0) return;
  } else {
    c->body_left -= n;
  }
  if (c->body_left < 0) die(c);
  else if (c->body_left == 0) finish(c);
}

static void wake_at(int64_t t) {
  struct itimerspec when = {.it_value = {t / 1000000000ll, t % 1000000000ll}};
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double quantile(double q) {
  if (answered == 0) return 0;
  int64_t i = ceil(q * answered) - 1;
  return latencies[i < 0 ? 0 : i];
}

static int busy(void) {
  int n = 0;
  for (int i = 0; i < count; i++) n += !connections[i].dead && connections[i].busy;
  return n + waiting_count;
}

static void run(double rate, int64_t began) {
  struct epoll_event events[events_max];
  double next = began;
  int sending = 1;
  while (sending || (busy() > 0 && now() < until + drain_seconds * 1000000000ll)) {
    for (int64_t t = now(); sending && next <= t; next += pause_length(rate)) {
      if (next >= until) sending = 0;
      else due(next);
    }
    wake_at(sending ? (int64_t)next : now() + 10000000ll);
    int n = epoll_wait(poll_fd, events, events_max, -1);
    for (int i = 0; i < n; i++) {
      uint64_t expired;
      if (events[i].data.ptr != NULL) receive(events[i].data.ptr);
      else if (read(timer_fd, &expired, sizeof expired) < 0) continue;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int port = atoi(argv[1]);
  double rate = atof(argv[3]), seconds = atof(argv[4]), warm_up = atof(argv[5]);
  const char *key = getenv("BENCH_KEY");
  count = atoi(argv[6]);
  request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", argv[2],
                            key ? "x-api-key: " : "", key ? key : "", key ? "\r\n" : "");
  connections = calloc(count, sizeof *connections);
  idle = calloc(count, sizeof *idle);
  waiting_max = rate * (seconds + warm_up) * 2 + 1000;
  waiting = calloc(waiting_max, sizeof *waiting);
  answered_max = waiting_max;
  latencies = calloc(answered_max, sizeof *latencies);
  if (!connections || !idle || !waiting || !latencies) return 1;
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &event);
  for (int i = 0; i < count; i++) dial(&connections[i], port), rest(&connections[i]);
  int64_t began = now();
  measured_from = began + warm_up * 1e9;
  until = measured_from + seconds * 1e9;
  run(rate, began);
  qsort(latencies, answered, sizeof *latencies, ascending);
  printf("{\"scheduled\":%lld,\"completed\":%lld,\"in_time\":%lld,\"requests\":%lld,\"seconds\":%.3f,\"failed\":%lld,\"dropped\":%lld,\"longest_queue\":%lld,"
         "\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}\n",
         (long long)scheduled, (long long)completed, (long long)in_time, (long long)answered, seconds, (long long)failed, (long long)dropped, (long long)longest_queue, quantile(0.5), quantile(0.99),
         quantile(0.999), quantile(1));
  return 0;
}
