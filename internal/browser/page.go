package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// Page is what is open in a browser of its own. Its methods end the test if they cannot do what they are asked.
type Page struct {
	t       testing.TB
	wire    *wire
	session string
}

// patience is how long a page may take to come to what a test waits for.
const patience = 20 * time.Second

// Open opens an address in a browser, which ends with the test. Without a Chromium the test is skipped; where a page
// has complained of something on its console, it fails.
func Open(t testing.TB, url string) *Page {
	t.Helper()
	p := &Page{t: t, wire: start(t)}
	t.Cleanup(func() {
		for _, problem := range p.wire.problems() {
			t.Errorf("the page complains: %s", problem)
		}
	})
	var target struct{ TargetID string }
	p.ask("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.ask("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.ask(p.session, domain+".enable", struct{}{}, nil)
	}
	p.Size(1400, 1000)
	p.ask(p.session, "Page.navigate", map[string]any{"url": url}, nil)
	return p
}

// start starts a browser, and has it ended with the test.
func start(t testing.TB) *wire {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("descriptors 3 and 4 are not handed on there")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("chromium is not installed")
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(),
		"--no-sandbox", // which root has not, and a page of ours need not have
		"--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	w := newWire(to, from)
	t.Cleanup(func() {
		_ = w.ask("", "Browser.close", struct{}{}, nil) // it may be gone before it answers
		to.Close()
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait() // how it has ended is of no interest
		from.Close()
	})
	return w
}

func (p *Page) ask(session, method string, params, result any) {
	p.t.Helper()
	if err := p.wire.ask(session, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

// Eval evaluates JavaScript in the page, waits for its promise if it is one, and puts the value into result, as JSON
// has it, unless that is nil.
func (p *Page) Eval(expression string, result any) {
	p.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.ask(p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	}, &answer)
	if answer.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

// Until waits until an expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		p.Eval("!!("+expression+")", &is)
		if is {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s does not come true; the page reads\n%s", expression, p.Text("body"))
		}
	}
}

// Text returns what there is to read in the first element of a selector.
func (p *Page) Text(selector string) (text string) {
	p.t.Helper()
	p.Eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector), &text)
	return text
}

// Click clicks on the middle of the first element of a selector, as somebody with a mouse does: what covers it gets the
// click.
func (p *Page) Click(selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	p.Eval(fmt.Sprintf(`(() => {
		const node = document.querySelector(%q);
		node.scrollIntoView({ block: "center", behavior: "instant" });
		const box = node.getBoundingClientRect();
		return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
	})()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.ask(p.session, "Input.dispatchMouseEvent", map[string]any{
			"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1,
		}, nil)
	}
}

// Size sets the window's, in CSS pixels.
func (p *Page) Size(width, height int) {
	p.t.Helper()
	p.ask(p.session, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
	}, nil)
}

// Scheme sets the preferred one: dark or light.
func (p *Page) Scheme(name string) {
	p.t.Helper()
	feature := map[string]string{"name": "prefers-color-scheme", "value": name}
	p.ask(p.session, "Emulation.setEmulatedMedia", map[string]any{"features": []any{feature}}, nil)
}

// Screenshot writes a picture of the whole page to a file, in PNG.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.ask(p.session, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
