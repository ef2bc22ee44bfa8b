// Package browser is for tests: a headless Chromium that opens a page, clicks, and is asked what there is to see.
//
// It is spoken to by the Chrome DevTools Protocol over two pipes, so that no port is open for others
// (https://chromedevtools.github.io/devtools-protocol, --remote-debugging-pipe).
package browser
