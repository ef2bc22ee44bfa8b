package relay

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimesAreSecondsInJSON(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                  "0",
		1586648 * time.Microsecond:         "1.586648",
		1586648*time.Microsecond + 4:       "1.586648",
		time.Microsecond:                   "0.000001", // and not 1e-06
		499:                                "0",
		30 * 24 * time.Hour:                "2592000",
		time.Hour + 50*time.Millisecond:    "3600.05",
		100 * 365 * 24 * time.Hour:         "3153600000",
		9*time.Second + 999_999_600:        "10",
		90*time.Minute + 1*time.Nanosecond: "5400",
	} {
		b, err := json.Marshal(Record{Elapsed: Seconds(d)})
		var got struct{ Elapsed json.Number }
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || got.Elapsed.String() != want {
			t.Errorf("%v is %s, %v, want %s", d, got.Elapsed, err, want)
		}
		var back Record
		if err := json.Unmarshal(b, &back); err != nil || time.Duration(back.Elapsed) != d.Round(time.Microsecond) {
			t.Errorf("%v comes back as %v, %v", d, back.Elapsed, err)
		}
	}
}
