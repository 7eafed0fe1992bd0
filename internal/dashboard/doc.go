// Package dashboard is the page of the admin listener: a few embedded files
// and the handler that serves them.
//
// The page runs in the browser and reads the JSON API under /api/v1 as any
// other client could; this package knows nothing of the proxy. The files have
// no dependency, ask for nothing from elsewhere, and hold nothing that the
// API's token protects, so they are served to everybody.
//
//	admin listener ── /            this package: HTML, CSS, JavaScript
//	               └─ /api/v1/...  admin: JSON  ◀── the page, every second or two
package dashboard
