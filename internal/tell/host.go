package tell

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// OwnHost serves h to those who have come to this machine's loopback only if they ask for a host that is its own: an IP
// address, localhost, or one of the names. Others get 421, Misdirected Request.
//
// Somebody else's page may have its own name resolve to 127.0.0.1 when it has been loaded (DNS rebinding). To a browser
// that is the page's own site then, from which it may read and change everything; but it goes on to say the page's name
// in Host, which no page can choose. Elsewhere than on loopback servers are known by names that they do not know.
func OwnHost(h http.Handler, names ...string) http.Handler {
	names = slices.Clone(names)
	for i, n := range names {
		names[i] = plainHost(n)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); onLoopback(r) && !isOwn(host, names) {
			http.Error(w, fmt.Sprintf("%.100q is no name of this server on loopback: want localhost or an address", host),
				http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// onLoopback tells whether a request has come to an address that only this machine has.
func onLoopback(r *http.Request) bool {
	to, is := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return is && to.IP.IsLoopback()
}

// isOwn takes a host as hostOf has it. Without one it is no browser that asks.
func isOwn(host string, names []string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(names, host)
}

// hostOf is a Host header's host, without its port and the brackets of IPv6.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return plainHost(host)
}

// plainHost writes a host in the one way in which it is compared.
func plainHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
