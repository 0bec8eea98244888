package admin_test

import "testing"

func TestThin(t *testing.T) {
	t.Parallel()
	s := begin(t)
	a := s.call(t, "PUT", "/v1/fleets/default/services/orders", service)
	t.Log(a.header, string(a.body))
	a.ok(t)
	a = s.call(t, "PUT", "/v1/fleets/default/routes/orders", orders)
	t.Log(a.header, string(a.body))
	a.ok(t)
	for _, p := range []string{"/v1/fleets/default/routes", "/v1/fleets/default/routes/orders", "/v1/fleets/default", "/v1/fleets", "/v1/fleets/default/revisions", "/v1/fleets/default/rollouts", "/v1/auditEvents", "/v1/nope", "/openapi.jso"} {
		a = s.call(t, "GET", p, "", as(s.admin)...)
		t.Log(p, a.status, string(a.body))
	}
	t.Log(s.log.String())
}
