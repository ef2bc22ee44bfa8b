// Package page is what the pages that the program serves have in common: their style, their icon, what draws numbers
// and keeps up with the server's events, and how all of that is served.
package page

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed style.css base.js icon.svg
var shared embed.FS

// Route serves an index.html of a folder at /, those of its files that are named beside it, and what pages share:
// /style.css, /base.js and /icon.svg. A page's script and style are files of their own, so that nothing that is told of
// somebody's streams or connections can become either.
func Route(mux *http.ServeMux, folder fs.FS, names ...string) {
	route(mux, "GET /{$}", folder, "index.html")
	for _, name := range names {
		route(mux, "GET /"+name, folder, name)
	}
	for _, name := range []string{"style.css", "base.js", "icon.svg"} {
		route(mux, "GET /"+name, shared, name)
	}
}

func route(mux *http.ServeMux, pattern string, files fs.FS, name string) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name)
	})
}
