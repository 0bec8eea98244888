package configv1

// Directories of ACME authorities that have a name. https://letsencrypt.org/docs/acme-protocol-updates/ and
// https://letsencrypt.org/docs/staging-environment/ give their URLs.
var acmeDirectories = map[string]string{
	"":                    "https://acme-v02.api.letsencrypt.org/directory",
	"letsencrypt":         "https://acme-v02.api.letsencrypt.org/directory",
	"letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}

// DirectoryURL is the URL of the directory (RFC 8555, section 7.1.1).
func (a *Acme) DirectoryURL() string {
	if url, named := acmeDirectories[a.GetDirectory()]; named {
		return url
	}
	return a.GetDirectory()
}
