package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is what the server refused, and why (RFC 9457).
type Problem struct {
	Type       string      `json:"type"`
	Title      string      `json:"title"`
	Status     int         `json:"status"`
	Detail     string      `json:"detail"`
	RequestID  string      `json:"request_id"`
	Violations []Violation `json:"violations"`

	// RetryAfter is how long the server asks to wait; 0 if it does not.
	RetryAfter time.Duration `json:"-"`
}

// Violation is one field that breaks one rule.
type Violation struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Rule     string `json:"rule"`
	Message  string `json:"message"`
}

// Slug is the last part of the type: "conflict".
func (p *Problem) Slug() string { return p.Type[strings.LastIndex(p.Type, "/")+1:] }

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" && len(p.Violations) == 0 {
		b.WriteString(": " + p.Detail)
	}
	for _, v := range p.Violations {
		b.WriteString("\n  " + v.String())
	}
	if p.RequestID != "" && p.Status >= http.StatusInternalServerError {
		b.WriteString(" (request " + p.RequestID + ")")
	}
	return b.String()
}

func (v Violation) String() string {
	var parts []string
	for _, part := range []string{v.Resource, v.Field, v.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Unreachable says that the server did not answer.
type Unreachable struct {
	Server string
	Err    error
}

func (u *Unreachable) Error() string {
	return fmt.Sprintf("the control plane at %s does not answer: %v", u.Server, u.Err)
}

// Unwrap is why.
func (u *Unreachable) Unwrap() error { return u.Err }

// IsNotFound says whether an error is the server's answer that there is no such thing.
func IsNotFound(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

func problemOf(response *http.Response, content []byte) error {
	p := &Problem{}
	if err := json.Unmarshal(content, p); err != nil || p.Title == "" {
		text, _, _ := strings.Cut(strings.TrimSpace(string(content)), "\n")
		p = &Problem{Title: response.Status, Detail: text[:min(len(text), 200)]}
	}
	p.Status = response.StatusCode
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// again says whether a call may succeed when it is repeated.
func again(err error) bool {
	var unreachable *Unreachable
	if errors.As(err, &unreachable) {
		return true
	}
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is how long the server asks to wait, within reason.
func retryAfter(err error) time.Duration {
	var p *Problem
	if errors.As(err, &p) {
		return min(p.RetryAfter, 10*time.Second)
	}
	return 0
}
