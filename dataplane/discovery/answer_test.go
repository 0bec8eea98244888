package discovery

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

func message(f interface{ Fatal(...any) }, records ...string) []byte {
	m := new(dns.Msg)
	m.Response = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return packed
}

// FuzzAnswer makes targets of whatever a name server may send.
func FuzzAnswer(f *testing.F) {
	f.Add(message(f, "a.test. 1 IN A 10.0.0.1", "a.test. 2 IN AAAA fd00::1", "b.test. 3 IN A 10.0.0.2"))
	f.Add(message(f, "a.test. 1 IN CNAME b.test.", "b.test. 1 IN CNAME a.test."))
	f.Add(message(f, "a.test. 1 IN CNAME b.test.", "b.test. 1 IN A 0.0.0.0"))
	f.Add(message(f, "a.test. 1 IN SRV 1 2 3 b.test.", "a.test. 1 IN SRV 0 0 0 .", "a.test. 1 IN SRV 1 0 65535 c.test."))
	f.Fuzz(func(t *testing.T, packed []byte) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil {
			return
		}
		name := "a.test."
		if len(m.Answer) > 0 {
			name = m.Answer[0].Header().Name
		}
		addresses, ttl, next := addressesIn(m, name)
		if ttl < 0 || ttl > forever {
			t.Errorf("they hold for %v", ttl)
		}
		if next != "" && len(addresses) > 0 {
			t.Errorf("found %v, but %s is to be asked for", addresses, next)
		}
		if !slices.IsSortedFunc(addresses, netip.Addr.Compare) || len(slices.Compact(slices.Clone(addresses))) != len(addresses) {
			t.Errorf("%v is not sorted, or twice", addresses)
		}
		for _, address := range addresses {
			if !usable(address) || address.Is4In6() {
				t.Errorf("found %v", address)
			}
		}
		records, _, _ := servicesIn(m, name)
		var hosts []srvHost
		for _, srv := range records {
			if !isHostName(srv.Target) {
				t.Errorf("found the host %q", srv.Target)
			}
			if len(addresses) > 0 {
				hosts = append(hosts, srvHost{srv.Port, srv.Weight, addresses})
			}
		}
		arranged, _ := arrange(share(hosts))
		if len(arranged) > MaxTargets || len(arranged) == 0 && len(hosts) > 0 {
			t.Errorf("%d hosts give %d targets", len(hosts), len(arranged))
		}
		for _, target := range arranged {
			if _, err := netip.ParseAddrPort(target.Address); err != nil || target.Weight < 1 || target.Weight > MaxWeight {
				t.Errorf("found %+v, %v", target, err)
			}
		}
	})
}

func TestAHostsShareIsItsOwnWhateverItsAddresses(t *testing.T) {
	t.Parallel()
	one, two, three := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	for name, tt := range map[string]struct {
		hosts []srvHost
		want  []uint32
	}{
		"as given":                 {[]srvHost{{1, 3, []netip.Addr{one}}, {1, 1, []netip.Addr{two}}}, []uint32{3, 1}},
		"all zero":                 {[]srvHost{{1, 0, []netip.Addr{one}}, {1, 0, []netip.Addr{two}}}, []uint32{1, 1}},
		"zero beside others":       {[]srvHost{{1, 0, []netip.Addr{one}}, {1, 5, []netip.Addr{two}}}, []uint32{1, 60}},
		"several addresses":        {[]srvHost{{1, 1, []netip.Addr{one}}, {1, 1, []netip.Addr{two, three}}}, []uint32{12, 6, 6}},
		"as many addresses of all": {[]srvHost{{1, 7, []netip.Addr{one, two}}, {1, 1, []netip.Addr{two, three}}}, []uint32{7, 7, 1, 1}},
		"the heaviest":             {[]srvHost{{1, 65535, []netip.Addr{one}}, {1, 0, []netip.Addr{two}}}, []uint32{786420, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []uint32
			for _, target := range share(tt.hosts) {
				got = append(got, target.Weight)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the weights are %v, want %v", got, tt.want)
			}
		})
	}
}
