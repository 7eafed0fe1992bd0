package dashboard_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/dashboard"
)

func answer(method, path string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Header = header
	w := httptest.NewRecorder()
	dashboard.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
		contentType  string
	}{
		{http.MethodGet, "/", 200, "text/html; charset=utf-8"},
		{http.MethodHead, "/", 200, "text/html; charset=utf-8"},
		{http.MethodGet, "/page/app.js", 200, "text/javascript; charset=utf-8"},
		{http.MethodGet, "/page/views/servers.js", 200, "text/javascript; charset=utf-8"},
		{http.MethodGet, "/page/style.css", 200, "text/css; charset=utf-8"},
		{http.MethodGet, "/page/icon.svg", 200, "image/svg+xml"},
		{http.MethodGet, "/page/", 404, "text/plain; charset=utf-8"},
		{http.MethodGet, "/page/../dashboard.go", 404, "text/plain; charset=utf-8"},
		{http.MethodGet, "/index.html", 404, "text/plain; charset=utf-8"},
		{http.MethodPost, "/", 405, "text/plain; charset=utf-8"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := answer(tt.method, tt.path, http.Header{})
			if r.StatusCode != tt.status || r.Header.Get("Content-Type") != tt.contentType {
				t.Errorf("%d %q, want %d %q", r.StatusCode, r.Header.Get("Content-Type"), tt.status, tt.contentType)
			}
			if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy %q", csp)
			}
		})
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	tag := answer(http.MethodGet, "/page/app.js", http.Header{}).Header.Get("Etag")
	if r := answer(http.MethodGet, "/page/app.js", http.Header{"If-None-Match": {tag}}); r.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for the tag %s", r.StatusCode, tag)
	}
}

// forbidden is what the page's own files must not do: make markup of words, run
// words as a program, keep the token beyond the tab, or ask another host.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|` +
	`localStorage\.setItem\([^)]*token|<script>|<style>|\son[a-z]+="|\sstyle="|https?://`)

func TestFilesDoNothingDangerous(t *testing.T) {
	err := fs.WalkDir(os.DirFS("static"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile("static/" + name)
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) > 600 {
			t.Errorf("%s has %d lines: split it by concern", name, len(lines))
		}
		for i, line := range lines {
			// The name of SVG looks like an address and is none.
			line = strings.ReplaceAll(line, "http://www.w3.org/2000/svg", "")
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d: %s", name, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
