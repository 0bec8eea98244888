package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tidegate.dev/controlplane/admin"
	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestGRPCOnTheSameAddressPassesTheSameInterceptors(t *testing.T) {
	t.Parallel()
	s := begin(t)
	connection, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer closed(t, connection)
	services := adminv1.NewServiceServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+s.publisher, "x-request-id", "mine", "idempotency-key", "k")
	asked := &adminv1.UpsertServiceRequest{
		Fleet: "default", Name: "orders", Service: &adminv1.Service{Spec: &configv1.Service{Url: "http://127.0.0.1:9001"}},
	}
	var header metadata.MD
	made, err := services.UpsertService(ctx, asked, grpc.Header(&header))
	check(t, err)
	if made.GetEtag() != `"r1"` || header.Get("etag")[0] != `"r1"` || header.Get("tidegate-revision")[0] != "1" || header.Get("x-request-id")[0] != "mine" {
		t.Errorf("%v, header %v", made, header)
	}
	if _, err := services.UpsertService(ctx, asked, grpc.Header(&header)); err != nil || header.Get("idempotency-replayed")[0] != "true" {
		t.Errorf("a repetition: %v, %v", err, header)
	}

	_, err = services.GetService(t.Context(), &adminv1.GetServiceRequest{Fleet: "default", Name: "orders"})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	asked.Service.Spec.Url = "ftp://x"
	_, err = services.UpsertService(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+s.publisher), asked)
	var violated, reason string
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *adminv1.Violation:
			violated = d.GetField()
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		}
	}
	if status.Code(err) != codes.InvalidArgument || violated != "spec.url" || reason != "invalid" {
		t.Errorf("%v: field %q, reason %q", err, violated, reason)
	}
	_, err = adminv1.NewIdentityServiceClient(connection).ListTokens(ctx, &adminv1.ListTokensRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a publisher lists tokens: %v", err)
	}
	watch, err := adminv1.NewRolloutServiceClient(connection).WatchRollout(ctx, &adminv1.WatchRolloutRequest{Fleet: "default", Id: "77"})
	check(t, err)
	if _, err := watch.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("watching nothing: %v", err)
	}
}

func TestARolloutIsWatchedAsLinesOfJSONUntilItEnds(t *testing.T) {
	t.Parallel()
	s := begin(t)
	id := s.call(t, "PUT", "/v1/fleets/default/services/orders", service).header.Get("Tidegate-Rollout")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/fleets/default/rollouts/"+id+":watch", nil)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+s.viewer)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer closed(t, response.Body)
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "application/x-ndjson" {
		t.Fatalf("%d %s", response.StatusCode, got)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		var line struct {
			Result struct{ ID, State string }
			Error  *problem
		}
		check(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Error != nil || line.Result.ID != id {
			t.Fatalf("line %s", lines.Bytes())
		}
		return line.Result.State
	}
	if state := next(); state != "queued" {
		t.Errorf("the first line says %q", state)
	}
	// Another publish takes its changes over: nobody leads rollouts here, so this is how one ends.
	s.call(t, "PUT", "/v1/fleets/default/services/more", service).ok(t)
	state := next()
	for state == "queued" {
		state = next()
	}
	if state != "superseded" {
		t.Errorf("then it says %q", state)
	}
	if lines.Scan() {
		t.Errorf("it goes on after the end: %s", lines.Bytes())
	}
}

func TestAWatchEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s := begin(t)
	id := s.call(t, "PUT", "/v1/fleets/default/services/orders", service).header.Get("Tidegate-Rollout")
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, s.url+"/v1/fleets/default/rollouts/"+id+":watch", nil)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+s.viewer)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	lines := bufio.NewReader(response.Body)
	_, err = lines.ReadString('\n')
	check(t, err)
	ended := make(chan string, 1)
	go func() {
		rest, err := io.ReadAll(lines)
		ended <- fmt.Sprint(string(rest), err)
	}()
	s.stop()
	select {
	case rest := <-ended:
		if !strings.Contains(rest, "problems/unavailable") || !strings.Contains(rest, `"request_id":"`) {
			t.Errorf("the last line: %s", rest)
		}
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
	check(t, response.Body.Close())
}

func TestACommandIsTakenByWhoeverLeads(t *testing.T) {
	t.Parallel()
	s := begin(t)
	id := s.call(t, "PUT", "/v1/fleets/default/services/orders", service).header.Get("Tidegate-Rollout")
	path := "/v1/fleets/default/rollouts/" + id
	p := s.call(t, "POST", path+":resume", `{}`).fails(t, 409, "wrong-state")
	if !strings.Contains(p.Detail, "queued") {
		t.Errorf("the state is not named: %s", p.Detail)
	}
	s.call(t, "POST", path+":pause", `{"reason":"`+strings.Repeat("x", 1025)+`"}`).fails(t, 400, "invalid")
	s.call(t, "POST", "/v1/fleets/default/rollouts/99:pause", "").fails(t, 404, "not-found")
}

func TestStrategiesAreKeptAndShippedOnesAreNot(t *testing.T) {
	t.Parallel()
	s := begin(t)
	const path = "/v1/fleets/default/strategies/"
	mine := `{"spec":{"steps":[{"agents_percent":100,"traffic_percent":100}]}}`
	made := s.call(t, "PUT", path+"mine", mine)
	made.ok(t)
	s.call(t, "PUT", path+"mine", mine, "If-Match", made.header.Get("ETag")).ok(t)
	s.call(t, "PUT", path+"mine", mine, "If-Match", `"v99"`).fails(t, 412, "etag-mismatch")
	s.call(t, "PUT", path+"immediate", strings.Replace(mine, "100}]", "50}]", 1)).fails(t, 409, "wrong-state")
	s.call(t, "DELETE", path+"immediate", "").fails(t, 409, "wrong-state")
	s.call(t, "DELETE", path+"mine", "").ok(t)
	s.call(t, "GET", path+"mine", "").fails(t, 404, "not-found")
	if listed := s.call(t, "GET", "/v1/fleets/default/strategies", "").ok(t)["strategies"].([]any); len(listed) == 0 {
		t.Error("none ships")
	}
}

func TestTheConsoleIsServedBesideTheAPI(t *testing.T) {
	t.Parallel()
	s := begin(t)
	page := []string{"Authorization", "", "Accept", "text/html,*/*"}
	for _, path := range []string{"/", "/fleets/default", "/rollouts/7?tab=evidence"} {
		got := s.call(t, "GET", path, "", page...)
		policy := got.header.Get("Content-Security-Policy")
		if got.status != 200 || !strings.Contains(string(got.body), "<title>console") || got.header.Get("Cache-Control") != "no-cache" ||
			!strings.Contains(policy, "script-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	asset := s.call(t, "GET", "/assets/app.1a.js", "", page...)
	if asset.status != 200 || !strings.Contains(asset.header.Get("Cache-Control"), "immutable") || !strings.Contains(asset.header.Get("Content-Type"), "javascript") {
		t.Errorf("%d %v", asset.status, asset.header)
	}
	s.call(t, "GET", "/assets/gone.js", "", page...).fails(t, 404, "not-found")
	s.call(t, "GET", "/fleets/default", "", "Accept", "application/json").fails(t, 404, "not-found")
	s.call(t, "GET", "/v1/fleets/default/nothing", "", "Accept", "text/html").fails(t, 404, "not-found")
	s.call(t, "POST", "/", "{}").fails(t, 405, "method-not-allowed")
	if got := s.call(t, "GET", "/assets/", "", page...); got.status != 404 {
		t.Errorf("a folder is listed: %d %s", got.status, got.body)
	}
}

func TestARequestIDIsKeptIfItIsADecentOne(t *testing.T) {
	t.Parallel()
	s := begin(t)
	if got := s.call(t, "GET", "/v1/fleets", "", "X-Request-Id", "abc-123").header.Get("X-Request-Id"); got != "abc-123" {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{strings.Repeat("a", 65), "a b", `a"b`} {
		if got := s.call(t, "GET", "/v1/fleets", "", "X-Request-Id", bad).header.Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestSlowRequestsAreNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	s := beginWith(t, admin.Config{HeaderTimeout: 300 * time.Millisecond, BodyTimeout: 300 * time.Millisecond})
	for name, c := range map[string]struct{ sent, want string }{
		"a header that does not end": {"GET /v1/fleets HTTP/1.1\r\nHost:", ""},
		"a body that does not end": {
			"PUT /v1/fleets/default/services/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.publisher +
				"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"spec\"", "408 Request Timeout",
		},
	} {
		connection, err := net.Dial("tcp", s.address)
		check(t, err)
		defer closed(t, connection)
		_, err = connection.Write([]byte(c.sent))
		check(t, err)
		check(t, connection.SetReadDeadline(time.Now().Add(20*time.Second)))
		var answer bytes.Buffer
		if _, err := io.Copy(&answer, connection); err != nil || !strings.Contains(answer.String(), c.want) {
			t.Errorf("%s: %v %s", name, err, answer.String())
		}
	}
}

func TestAnAnswerMayTakeLongerThanABody(t *testing.T) {
	t.Parallel()
	s := beginWith(t, admin.Config{BodyTimeout: 200 * time.Millisecond})
	id := s.call(t, "PUT", "/v1/fleets/default/services/orders", service).header.Get("Tidegate-Rollout")
	// Nobody leads here, so the answer waits for a leader for longer than the body may take.
	s.call(t, "POST", "/v1/fleets/default/rollouts/"+id+":abort", `{"reason":"no"}`).ok(t)
}

func TestWithoutPostgresEveryCallFailsSoonAndWithItsReason(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Private(t)
	opened, err := store.Open(t.Context(), store.Config{DatabaseURL: postgres.URL(), ConnectTimeout: time.Second})
	check(t, err)
	t.Cleanup(opened.Close)
	check(t, opened.Migrate(t.Context()))
	s := beginWith(t, admin.Config{Store: opened})
	s.publish(t)
	check(t, postgres.Kill())
	for _, c := range []struct{ method, body string }{{"GET", ""}, {"PUT", service}} {
		began := time.Now()
		got := s.call(t, c.method, "/v1/fleets/default/services/orders", c.body)
		p := got.fails(t, 503, "unavailable")
		if got.header.Get("Retry-After") == "" || time.Since(began) > 10*time.Second || strings.Contains(p.Detail, "postgres") {
			t.Errorf("after %s: %v %s", time.Since(began), got.header, got.body)
		}
	}
	check(t, postgres.Restart(t.Context()))
	deadline := time.Now().Add(20 * time.Second)
	for s.call(t, "GET", "/v1/fleets/default/services/orders", "").status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("Postgres is back, and the API is not")
		}
	}
}

func TestAFrozenPostgresHoldsNobodyForEver(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Private(t)
	opened, err := store.Open(t.Context(), store.Config{DatabaseURL: postgres.URL(), ConnectTimeout: time.Second})
	check(t, err)
	t.Cleanup(opened.Close)
	check(t, opened.Migrate(t.Context()))
	s := beginWith(t, admin.Config{Store: opened})
	s.publish(t)
	check(t, postgres.Freeze())
	began := time.Now()
	got := s.call(t, "PUT", "/v1/fleets/default/services/orders", service)
	if took := time.Since(began); got.status < 500 || took > 15*time.Second {
		t.Errorf("after %s: %d %s", took, got.status, got.body)
	}
	check(t, postgres.Thaw())
	s.call(t, "PUT", "/v1/fleets/default/services/orders", service).ok(t)
}

// A Postgres that only reads is what is left for a while after a fail-over.
func TestAPostgresThatOnlyReadsRefusesWrites(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Private(t)
	opened, err := store.Open(t.Context(), store.Config{DatabaseURL: postgres.URL()})
	check(t, err)
	t.Cleanup(opened.Close)
	check(t, opened.Migrate(t.Context()))
	s := beginWith(t, admin.Config{Store: opened})
	s.publish(t)
	setReadOnly := func(to string) {
		t.Helper()
		connection, err := pgx.Connect(t.Context(), postgres.URL())
		check(t, err)
		defer func() { check(t, connection.Close(t.Context())) }()
		for _, statement := range []string{"SET default_transaction_read_only = off", "ALTER SYSTEM SET default_transaction_read_only = " + to, "SELECT pg_reload_conf()"} {
			_, err = connection.Exec(t.Context(), statement)
			check(t, err)
		}
	}
	put := func() answer { return s.call(t, "PUT", "/v1/fleets/default/services/another", service) }
	setReadOnly("on")
	got := put()
	for deadline := time.Now().Add(20 * time.Second); got.status == http.StatusOK && time.Now().Before(deadline); got = put() {
		s.call(t, "DELETE", "/v1/fleets/default/services/another", "") // the setting takes a moment
	}
	got.fails(t, 503, "unavailable")
	if got.header.Get("Retry-After") == "" {
		t.Errorf("it does not say when to try again: %v", got.header)
	}
	s.call(t, "GET", "/v1/fleets/default/services/orders", "").ok(t)
	setReadOnly("off")
	for deadline := time.Now().Add(20 * time.Second); put().status != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("Postgres takes writes, and the API does not")
		}
	}
}
