package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var embedded embed.FS

// policy lets the page load only its own files: no script or style inside the
// HTML, no other host, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// contentTypes are those of the files that the page has; the system's table of
// types may say otherwise.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

type file struct {
	content     []byte
	contentType string
	tag         string
}

// page serves the files by their path.
type page map[string]file

// Handler returns the handler of the page, to be mounted at "/" and "/page/". It
// answers GET and HEAD of the page's files, and 404 or 405 to everything else.
func Handler() http.Handler {
	p := page{}
	// Reads of an embedded file system do not fail: a missing file does not compile.
	_ = fs.WalkDir(embedded, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		p["/page"+name[len("static"):]] = file{
			content:     content,
			contentType: contentTypes[path.Ext(name)],
			tag:         `"` + hex.EncodeToString(sum[:12]) + `"`,
		}
		return nil
	})
	p["/"] = p["/page/index.html"]
	delete(p, "/page/index.html")
	return p
}

// ServeHTTP implements http.Handler.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	f, ok := p[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", f.contentType)
	// Asked again each time, answered 304 as long as the program is the same.
	h.Set("Cache-Control", "no-cache")
	h.Set("Etag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
