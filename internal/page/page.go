// Package page is what people look at: one page, which shows the streams of a server, the relays of a process, or both,
// as the server's events tell of them. A part of which no event tells is not shown.
package page

import (
	"embed"
	"net/http"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// Route serves the page at /, and what it is made of. Its scripts and styles are files of their own, so that nothing
// that is told of somebody's streams or connections can become either.
func Route(mux *http.ServeMux) {
	route(mux, "GET /{$}", "index.html")
	for _, name := range []string{"style.css", "relays.css", "base.js", "streams.js", "relays.js", "icon.svg"} {
		route(mux, "GET /"+name, name)
	}
}

func route(mux *http.ServeMux, pattern, name string) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name)
	})
}
