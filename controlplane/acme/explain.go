package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"tidegate.dev/controlplane/outbound"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// explanationLimit bounds the words that are kept of a failure, in bytes.
const explanationLimit = 2048

// explain says in words why an attempt failed, and what to do about it.
func explain(err error, spec *configv1.Certificate) string {
	text := err.Error()
	if advice := advise(err, spec); advice != "" {
		text += ". " + advice
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), explanationLimit)], "")
}

func advise(err error, spec *configv1.Certificate) string {
	directory := spec.GetAcme().DirectoryURL()
	var agents *agentsError
	switch {
	case errors.Is(err, errNoAgents), errors.As(err, &agents):
		return "See `tidegate get agents`"
	case errors.Is(err, errNotOffered):
		return "Change acme.challenge, or give the certificate as certificate_pem instead"
	case errors.Is(err, errSlow):
		return "Is the directory " + directory + " slow, or are its validations?"
	}
	var problem acme.Problem
	if errors.As(err, &problem) {
		return adviseProblem(problem, nameOf(err, spec), wayIn(spec))
	}
	return adviseConnection(err, directory)
}

// nameOf is the name that a failure is about.
func nameOf(err error, spec *configv1.Certificate) string {
	var proof *proofError
	if errors.As(err, &proof) {
		return proof.name
	}
	return strings.Join(spec.GetServerNames(), ", ")
}

// way is how an authority comes in to look for a proof.
type way struct{ port, listener, rival string }

func wayIn(spec *configv1.Certificate) way {
	if spec.GetAcme().GetChallenge() == acme.ChallengeTypeTLSALPN01 {
		return way{"443", "TLS listener", "ends TLS itself"}
	}
	return way{"80", "HTTP listener", "answers /.well-known/acme-challenge/ itself"}
}

// adviseProblem knows the problems of RFC 8555, section 6.7.
func adviseProblem(problem acme.Problem, name string, in way) string {
	switch problem.Type {
	case acme.ProblemTypeDNS:
		return fmt.Sprintf("Make %s resolve (A or AAAA) to addresses that lead to the agents", name)
	case acme.ProblemTypeConnection:
		return fmt.Sprintf("Make port %s of %s lead to the agents' %s, also from outside", in.port, name, in.listener)
	case acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse, acme.ProblemTypeTLS:
		return fmt.Sprintf("Port %s of %s seems to lead elsewhere, or something in front of the agents %s", in.port, name, in.rival)
	case acme.ProblemTypeCAA:
		return fmt.Sprintf("The CAA records of %s do not allow this authority", name)
	case acme.ProblemTypeRateLimited:
		return "Nothing to do but wait: the next attempt comes when the authority allows it"
	case acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier:
		return fmt.Sprintf("The authority gives no certificates for %s; change server_names", name)
	case acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		return "Change acme.email"
	case acme.ProblemTypeExternalAccountRequired:
		return "The authority wants an account that was made beforehand, which is not supported"
	case acme.ProblemTypeUserActionRequired:
		return "The authority wants somebody to act: see the URL that it names"
	}
	return ""
}

// adviseConnection is about the way to the directory.
func adviseConnection(err error, directory string) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var network net.Error
	switch {
	case errors.As(err, &unknown):
		return "The https of " + directory + " is not trusted: give its authority as acme.ca_pem"
	case errors.As(err, &host):
		return "The https of " + directory + " is that of another name"
	case errors.Is(err, outbound.ErrRefused):
		return "Change acme.directory"
	case errors.As(err, &network), strings.Contains(err.Error(), "performing request"):
		return "Is the directory " + directory + " up, and may the control plane reach it?"
	case strings.Contains(err.Error(), "profile"):
		return "Change acme.profile to one that the directory offers, or leave it out"
	}
	return ""
}
