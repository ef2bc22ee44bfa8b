package relays

import "net/http"

func routePage(mux *http.ServeMux) {}
