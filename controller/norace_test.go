//go:build !race

package controller_test

const racing = false
