// Package meter shows people and programs how transfers are getting on, in the way of pv(1).
//
//	camera:  1.25GiB 0:00:13 [98.4MiB/s] (96.0MiB/s) [========>         ] 45% ETA 0:00:16 splice
//	viewer:  1.25GiB 0:00:13 [97.9MiB/s] (95.8MiB/s) [=======>          ] 44% ETA 0:00:16 destination stalled 3s
//
// A [Display] writes to an [io.Writer] that it is given, and to nothing else. It gets a [State] of each transfer
// every now and then, which is all that it knows of them, and works out rates, averages and times of arrival from
// one to the next. On a terminal it keeps a line for each, which it draws anew in place; elsewhere it writes what
// pv -f would. A program reads numbers, one a line, or JSON objects.
//
// What others have to say meanwhile goes through [Display.Say]: whoever writes to the terminal beside a Display
// garbles its lines.
//
// # Formats
//
// [Config].Format is pv's -F. These sequences are known, and all else but %% is an error:
//
//	%b %{bytes} %{transferred}   1.25GiB
//	%t %{timer}                  0:00:13
//	%r %{rate}                   [98.4MiB/s]  over the last interval
//	%a %{average-rate}           (96.0MiB/s)  from the beginning on
//	%p %{progress}               [====>    ] 45%, as wide as there is room, or as a number says: %20p
//	%{progress-bar-only}         ====>        likewise
//	%{progress-amount-only}       45%
//	%e %{eta}                    ETA 0:00:16
//	%I %{fineta}                 FIN 17:51:06
//	%N %{name}                   "   camera:"
//	%{stalled}                   destination stalled 3s
//	%{note}                      what has become of it
//	%{path}                      splice
//
// Three of pv's have no place here: %T, %A and %L show its buffer, and a splice has none.
//
// Who should use something else: a program that wants to draw by itself. [Display.Report] is what it needs, and
// Numeric or JSON as the [Mode] if it is another process.
package meter
