package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// maxBody is what a request may send; calls that carry many resources may send maxLargeBody.
	maxBody      = 1 << 20
	maxLargeBody = 32 << 20
	// largePatience is how many times longer a large body may take to arrive.
	largePatience = 6
)

func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 // -1: unknown
}

// bodyBounds are the size and time within which the body of a request must arrive.
func bodyBounds(r *http.Request, bodyTimeout time.Duration) (limit int64, timeout time.Duration) {
	if strings.HasSuffix(r.URL.Path, ":apply") || strings.HasSuffix(r.URL.Path, ":edit") {
		return maxLargeBody, largePatience * bodyTimeout
	}
	if signsIn(r) {
		return maxSignIn, bodyTimeout
	}
	return maxBody, bodyTimeout
}

// readBody reads the body whole, within its bounds, and puts it back. It returns what is wrong with it, if anything.
func readBody(w http.ResponseWriter, r *http.Request, bodyTimeout time.Duration) *problem {
	if p := checkMediaType(r); p != nil {
		return p
	}
	limit, timeout := bodyBounds(r, bodyTimeout)
	if r.ContentLength > limit {
		return tooLarge(r, limit)
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return newProblem(problemInternal, "the connection cannot be bounded in time")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var oversize *http.MaxBytesError
	switch {
	case errors.As(err, &oversize):
		return tooLarge(r, limit)
	case errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err):
		return newProblem(problemTimeout, fmt.Sprintf("the body did not arrive within %s", timeout))
	case err != nil:
		return newProblem(problemMalformed, "the body ended early")
	}
	// Without this the deadline would end the call while it is being answered.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return newProblem(problemInternal, "the connection's bound in time cannot be lifted")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func tooLarge(r *http.Request, limit int64) *problem {
	return newProblem(problemTooLarge, fmt.Sprintf("%s %s takes at most %d KiB", r.Method, r.URL.Path, limit>>10))
}

// checkMediaType takes JSON, and what says nothing. A form could come from any page without the browser asking first, so it is
// taken only from callers who sent a token themselves: `curl -d` calls its body a form unless told otherwise.
func checkMediaType(r *http.Request) *problem {
	given := r.Header.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(given)
	if kind == "application/x-www-form-urlencoded" && r.Header.Get("Authorization") != "" {
		return nil
	}
	if err != nil || (kind != "application/json" && kind != "application/merge-patch+json") {
		return newProblem(problemMediaType, fmt.Sprintf("the body is %q; send application/json", given))
	}
	return nil
}
