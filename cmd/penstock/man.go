package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/manual"
)

// newMan is for "make man", and for those who package the program.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages of every command into a directory",
		Long: `Write the man pages of every command into a directory.

Their date is SOURCE_DATE_EPOCH, in seconds since 1970; without it they have none. So they are the same each time.`,
		Hidden: true,
		Args:   usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := sourceDate()
			if err != nil {
				return err
			}
			return manual.WriteTree(args[0], cmd.Root(), date)
		},
	}
}

// sourceDate is when this program's source was made, by whom it is packaged, or the zero time. See
// https://reproducible-builds.org/specs/source-date-epoch/.
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, &usageError{fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", text)}
	}
	return time.Unix(seconds, 0), nil
}
