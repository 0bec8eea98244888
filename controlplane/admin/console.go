package admin

import (
	_ "embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed openapi.json
var openAPI []byte

func serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	if !onlyReads(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	if r.Method == http.MethodGet {
		_, _ = w.Write(openAPI) // the client is gone: nobody is left to tell
	}
}

// contentSecurityPolicy lets the console use its own scripts, styles and API, and nothing of anybody else's. Mantine sets
// styles inline; scripts never are.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// console serves the built console. Paths that are no file belong to the console's own router and get its page, if a page is
// what the client wants.
type console struct {
	files fs.FS
	serve http.Handler
}

// newConsole serves files; nil serves none.
func newConsole(files fs.FS) http.Handler {
	if files == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			writeProblem(w, r, newProblem(problemNotFound, "there is nothing at "+r.URL.Path+"; this control plane serves no console"))
		})
	}
	return &console{files: files, serve: http.FileServerFS(files)}
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !onlyReads(w, r) {
		return
	}
	secure(w.Header())
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name != "" && name != "index.html" && c.isFile(name) {
		if strings.HasPrefix(name, "assets/") { // the build puts a hash of the content into these names
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			w.Header().Set("Cache-Control", "no-cache")
		}
		c.serve.ServeHTTP(w, r)
		return
	}
	if strings.HasPrefix(name+"/", "assets/") || !wantsPage(r) {
		writeProblem(w, r, newProblem(problemNotFound, "there is nothing at "+r.URL.Path))
		return
	}
	c.servePage(w, r)
}

func (c *console) isFile(name string) bool {
	info, err := fs.Stat(c.files, name)
	return err == nil && info.Mode().IsRegular()
}

func (c *console) servePage(w http.ResponseWriter, r *http.Request) {
	content, err := fs.ReadFile(c.files, "index.html")
	if err != nil {
		writeProblem(w, r, newProblem(problemNotFound, "the console was not built into this control plane"))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // the client is gone: nobody is left to tell
	}
}

// wantsPage says whether a browser navigates, or a program asks for something else.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return r.URL.Path == "/" || strings.Contains(accept, "text/html")
}

func onlyReads(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	writeProblem(w, r, newProblem(problemMethod, r.Method+" does not fit "+r.URL.Path+", which takes GET, HEAD"))
	return false
}

func secure(header http.Header) {
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
