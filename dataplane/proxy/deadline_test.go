package proxy

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestGRPCTimeouts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1n": 1, "250u": 250 * time.Microsecond, "1500m": 1500 * time.Millisecond, "2S": 2 * time.Second, "3M": 3 * time.Minute,
		"4H": 4 * time.Hour, "00000001S": time.Second, "0m": 0, "99999999H": math.MaxInt64,
		"": -1, "S": -1, "5": -1, "-5S": -1, "1.5S": -1, "5s": -1, "5 S": -1, "000000001S": -1, "٣S": -1,
	} {
		got, ok := parseGRPCTimeout(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, ok, want)
		}
	}
	for left, want := range map[time.Duration]string{
		1: "1n", 99_999_999: "99999999n", 100 * time.Millisecond: "100000u", 100 * time.Second: "100000m",
		30 * time.Hour: "108000S", math.MaxInt64: "2562047H",
	} {
		if got := string(appendGRPCTimeout(nil, left)); got != want {
			back, ok := parseGRPCTimeout(got)
			if !ok || back > left || left-back > left/1000 {
				t.Errorf("%v is written as %q, want %q", left, got, want)
			}
		}
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	for _, seed := range []string{"1n", "99999999H", "0S", "", "x", "123456789S", "8M "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ms, ok := parseMilliseconds(text); ok {
			value, err := strconv.ParseUint(text, 10, 62)
			if err != nil || ms < 0 || uint64(ms.Milliseconds()) != value {
				t.Fatalf("%q is read as %v", text, ms)
			}
		}
		given, ok := parseGRPCTimeout(text)
		if !ok {
			return
		}
		value, err := strconv.Atoi(text[:len(text)-1])
		if err != nil || given < 0 || len(text) > longestGRPCDigits+1 {
			t.Fatalf("%q is read as %v", text, given)
		}
		if unit := map[byte]float64{'n': 1, 'u': 1e3, 'm': 1e6, 'S': 1e9, 'M': 60e9, 'H': 3600e9}[text[len(text)-1]]; given < math.MaxInt64 &&
			float64(given) != float64(value)*unit {
			t.Fatalf("%q is read as %v", text, given)
		}
		if given == 0 {
			return
		}
		written := string(appendGRPCTimeout(nil, given))
		back, ok := parseGRPCTimeout(written)
		if !ok || back > given || given-back > given/1_000_000 {
			t.Fatalf("%v is written as %q, which is %v", given, written, back)
		}
	})
}

// What the client gives shortens the route's time and never lengthens it, and the upstream is told what is left.
func TestDeadlinesArePassedOn(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Left", r.Header.Get("Grpc-Timeout"))
		w.Header().Set("X-Left-Ms", r.Header.Get("X-Deadline-Ms"))
		if r.URL.Path != "/slow" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
	up := server(t, slow)
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, DeadlineHeader: "x-deadline-ms", Timeouts: &configv1.Timeouts{Total: "3s"}},
		"routes/all":  route("up", "/**"),
	})
	cases := map[string]struct {
		path    string
		headers []string
		// left is between what the upstream is told, in milliseconds; 0 and 0 for nothing.
		grpc, ms [2]float64
		status   int
	}{
		"nothing is given":     {"/", nil, [2]float64{}, [2]float64{2000, 3000}, 200},
		"gRPC":                 {"/", []string{"Grpc-Timeout", "1S"}, [2]float64{500, 1000}, [2]float64{500, 1000}, 200},
		"the header":           {"/", []string{"X-Deadline-Ms", "1500"}, [2]float64{}, [2]float64{1000, 1500}, 200},
		"the shorter of both":  {"/", []string{"X-Deadline-Ms", "1500", "Grpc-Timeout", "900000u"}, [2]float64{500, 900}, [2]float64{500, 900}, 200},
		"more than the route":  {"/", []string{"Grpc-Timeout", "1H"}, [2]float64{2000, 3000}, [2]float64{2000, 3000}, 200},
		"gRPC without a time":  {"/", []string{"Content-Type", "application/grpc+proto"}, [2]float64{2000, 3000}, [2]float64{2000, 3000}, 200},
		"it passes":            {"/slow", []string{"X-Deadline-Ms", "100"}, [2]float64{}, [2]float64{}, 504},
		"it has passed":        {"/", []string{"X-Deadline-Ms", "0"}, [2]float64{}, [2]float64{}, 504},
		"gRPC's has passed":    {"/", []string{"Grpc-Timeout", "0m"}, [2]float64{}, [2]float64{}, 504},
		"what cannot be read ": {"/", []string{"Grpc-Timeout", "soon"}, [2]float64{}, [2]float64{2000, 3000}, 200},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := r.do(http.MethodPost, c.path, "x", c.headers...)
			if got.StatusCode != c.status || c.status == 504 && got.reason() != "upstream_timeout" {
				t.Fatal(got.StatusCode, got.reason(), got.body)
			}
			if c.status == 504 && time.Since(began) > 2*time.Second {
				t.Error("it took", time.Since(began))
			}
			left, ok := parseGRPCTimeout(got.Header.Get("X-Left"))
			inside(t, "gRPC's", float64(left)/1e6, ok, c.grpc)
			ms, ok := parseMilliseconds(got.Header.Get("X-Left-Ms"))
			inside(t, "the header's", float64(ms)/1e6, ok, c.ms)
		})
	}
}

func inside(t *testing.T, what string, ms float64, ok bool, want [2]float64) {
	t.Helper()
	if ok != (want[1] > 0) || ms < want[0] || ms > want[1] {
		t.Error(fmt.Sprintf("%s is %.1f ms, %v,", what, ms, ok), "want", want)
	}
}
