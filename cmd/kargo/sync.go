package main

import (
	"fmt"
	"net"
	"net/http"

	"github.com/spf13/cobra"
)

func syncCommand(env map[string]string) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use: "sync", Short: "Ask the controller for a round now", GroupID: "controller", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			controller, err := s.client()
			if err != nil {
				return err
			}
			if err := controller.call(cmd.Context(), http.MethodPost, "/api/v1/sync", nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "asked for a round")
			return err
		},
	}
	s.dataFlags(cmd.Flags())
	s.clientFlags(cmd.Flags())
	return cmd
}

func approveCommand(env map[string]string) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use: "approve PLAN", Short: "Let the held removals of one plan happen", GroupID: "controller",
		Long: `Approve lifts the holds of the pending plan that wait for a person: the removal of
many stacks at once. It names that plan by its ID (see "kargo status") and fits
no other: if anything changes meanwhile, the approval does nothing.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which plan? see `kargo status`")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			controller, err := s.client()
			if err != nil {
				return err
			}
			if err := controller.call(cmd.Context(), http.MethodPost, "/api/v1/approve", map[string]string{"plan": args[0]}, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "plan %s is approved\n", args[0])
			return err
		},
	}
	s.dataFlags(cmd.Flags())
	s.clientFlags(cmd.Flags())
	return cmd
}

// healthcheckCommand is what a container's health check runs: the image has no
// shell and no curl.
func healthcheckCommand(env map[string]string) *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Exit 0 if the controller of this container is alive", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := env["KARGO_LISTEN"]
			if address == "" {
				address = "127.0.0.1:8080"
			}
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return usagef("KARGO_LISTEN: %w", err)
			}
			if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			probe := &client{http: &http.Client{}, base: "http://" + net.JoinHostPort(host, port)}
			return probe.call(cmd.Context(), http.MethodGet, "/healthz", nil, nil)
		},
	}
}
