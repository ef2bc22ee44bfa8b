// Package testcard draws the picture that a live stream shows when nobody has brought a camera: a television test card
// that moves, frame by frame, as JPEG.
//
//	|~|            .  ( ( ( ) ) )  .
//	|~|          (    penstock      )
//	|~|-(/)     (  ▇▇▆▆▅▅▄▄▃▃▂▂▁▁     )        |||||
//	|~|         (    14:07:49.376      )       | | |
//	|~|         (  ░░░▒▒▒▓▓▓███       )        |  |
//	|~|          (    000 001 234    )         |   |
//	|  `~~~~~~~>-- ( ( ( ) ) )  . ' .
//	 `~~~~~~~~>--           |~~~~~~~~~~~~~~~~~~~~~~~~
//
// A penstock is the pipe that leads water to a turbine. Here it leads to the card's circle, which is the turbine.
//
// # Reading it
//
// What moves by the frame number goes on steadily when frames are late and jumps when frames are lost: the counter, the
// wheel, the packets in the pipe. What moves by the time does the opposite: the clock, the hand of the gauge (once a
// second), the bead on the circle (once a minute). Two screens beside each other differ by what their clocks say.
//
// What stands still tells about the picture's path. The circle is round, the squares are square, and the arrows touch
// the edges, unless something has stretched or cropped them. The bars and the greys show what has become of the
// colours, and the gratings, in lines 1 to 5 pixels wide, what a scaler does.
//
// # Cost
//
// The still parts are drawn once. A frame of 640x360 takes about 4.6 ms of one core (Go 1.26, Xeon at 2.7 GHz), of
// which 0.3 ms is drawing and the rest image/jpeg's encoder, and is about 40 kB; both grow with the number of pixels.
// All viewers can be sent the same bytes, so this is paid once for a frame and not once for a viewer.
//
// # Who should use something else
//
// This is a stand-in and a ruler, not an encoder: whoever has pictures of their own needs only [Boundary],
// [ContentType] and image/jpeg. For a card to calibrate a monitor by, get one that is made for that: JPEG with
// subsampled chroma does not keep the colours of small things.
package testcard
