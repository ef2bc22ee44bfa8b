package tell

import (
	"encoding/json"
	"net/http"
)

// JSON answers a request with facts as they are now.
func JSON(w http.ResponseWriter, facts any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(facts) // a client that is gone does not read it
}
