package live

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page/index.html page/style.css page/script.js page/icon.svg
var pageFiles embed.FS

// routePage adds what people look at. The page's script and style are files of their own, so that nothing in a stream's
// name or facts can become either.
func routePage(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	for path, file := range map[string]string{
		"GET /{$}":       "index.html",
		"GET /style.css": "style.css",
		"GET /script.js": "script.js",
		"GET /icon.svg":  "icon.svg",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Referrer-Policy", "no-referrer")
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, files, file)
		})
	}
}
