package testcard

import (
	"image"
	"image/color"
)

// The inks. They are uniforms and not colours because the drawing packages take an image as their source, and putting
// a colour into one anew for every shape would allocate.
var (
	slate = ink(0x15222c) // the ground
	rule  = ink(0x2e4554) // the grid on it
	coal  = ink(0x070c10) // behind lettering
	chalk = ink(0xf2f6f7) // the circle and the lettering
	mist  = ink(0x8da4b1) // lettering that need not shout
	shade = ink(0x3d4f5b) // leading zeros

	steel  = ink(0x9db2be) // pipe, flanges, buckets
	girder = ink(0x566b78) // the shaded side of steel
	depth  = ink(0x0b3a4c) // water at rest
	stream = ink(0x1f93a8) // water at work
	foam   = ink(0x9ff0ef) // its crest
	amber  = ink(0xffa63d) // the one warm ink: the hands that tell the time
)

// bars are the eight colour bars at 75 % amplitude, in the order of falling luma that makes a staircase on a waveform
// monitor.
var bars = [...]*image.Uniform{
	ink(0xbfbfbf), ink(0xbfbf00), ink(0x00bfbf), ink(0x00bf00),
	ink(0xbf00bf), ink(0xbf0000), ink(0x0000bf), ink(0x0a0a0a),
}

// ink returns the opaque colour 0xRRGGBB.
func ink(rgb uint32) *image.Uniform {
	return image.NewUniform(color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 0xff})
}
