package live

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/penstock-io/penstock/internal/page"
)

//go:embed page/index.html page/script.js
var pageFiles embed.FS

// routePage adds what people look at.
func routePage(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is in the binary
	}
	page.Route(mux, files, "script.js")
}
