package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kargo/history"
)

// retentionFlags say how many deployments the history keeps.
type retentionFlags struct {
	keep wholeNumber
	age  age
	size wholeNumber // MiB
}

func (r *retentionFlags) flags(flags *pflag.FlagSet) {
	r.keep = wholeNumber(history.DefaultRetention.Deployments)
	flags.Var(&r.keep, "history-keep", "`number` of deployments that the history keeps; 0 sets no limit")
	flags.Var(&r.age, "history-age", "`duration` for which the history keeps deployments, such as 90d or 2160h; 0 sets no limit")
	flags.Var(&r.size, "history-size", "largest `number` of MiB of the history; with that size, its older half is removed; 0 sets no limit")
}

// retention returns what the history keeps.
func (r *retentionFlags) retention() history.Retention {
	return history.Retention{Deployments: int(r.keep), Age: time.Duration(r.age), Bytes: int64(r.size) << 20}
}

// wholeNumber is a number from 0 on.
type wholeNumber int32

func (n *wholeNumber) String() string { return strconv.Itoa(int(*n)) }

func (n *wholeNumber) Set(text string) error {
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil || number < 0 {
		return fmt.Errorf("it is no number from 0 to %d", math.MaxInt32)
	}
	*n = wholeNumber(number)
	return nil
}

func (*wholeNumber) Type() string { return "int" }

// age is a duration that can also be given in days.
type age time.Duration

const (
	day     = 24 * time.Hour
	mostAge = math.MaxInt64 / int64(day) // in days
)

func (a *age) String() string {
	switch duration := time.Duration(*a); {
	case duration == 0:
		return "0"
	case duration%day == 0:
		return fmt.Sprintf("%dd", duration/day)
	default:
		return duration.String()
	}
}

func (a *age) Set(text string) error {
	days, inDays := strings.CutSuffix(text, "d")
	if inDays {
		number, err := strconv.ParseInt(days, 10, 64)
		if err != nil || number < 0 || number > mostAge {
			return fmt.Errorf("it is no number of days from 0 to %d", mostAge)
		}
		*a = age(time.Duration(number) * day)
		return nil
	}
	duration, err := time.ParseDuration(text)
	if err != nil || duration < 0 {
		return fmt.Errorf("it is no duration such as 90d or 2160h")
	}
	*a = age(duration)
	return nil
}

func (*age) Type() string { return "duration" }
