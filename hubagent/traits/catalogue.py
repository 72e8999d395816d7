"""Made by packaging/jupyterhub/catalogue.py from the hub's environment; edit that instead.

By class: those it inherits from, and its own traits with the kinds of value that each takes.
"""

# fmt: off
from collections.abc import Mapping
from typing import Final

AUTHENTICATORS: Final[Mapping[str, str]] = {
    "native": "HubagentAuthenticator",
    "auth0": "Auth0OAuthenticator",
    "azuread": "AzureAdOAuthenticator",
    "bitbucket": "BitbucketOAuthenticator",
    "cilogon": "CILogonOAuthenticator",
    "default": "PAMAuthenticator",
    "dummy": "DummyAuthenticator",
    "generic-oauth": "GenericOAuthenticator",
    "github": "GitHubOAuthenticator",
    "gitlab": "GitLabOAuthenticator",
    "globus": "GlobusOAuthenticator",
    "google": "GoogleOAuthenticator",
    "local-auth0": "LocalAuth0OAuthenticator",
    "local-azuread": "LocalAzureAdOAuthenticator",
    "local-bitbucket": "LocalBitbucketOAuthenticator",
    "local-cilogon": "LocalCILogonOAuthenticator",
    "local-generic-oauth": "LocalGenericOAuthenticator",
    "local-github": "LocalGitHubOAuthenticator",
    "local-gitlab": "LocalGitLabOAuthenticator",
    "local-globus": "LocalGlobusOAuthenticator",
    "local-google": "LocalGoogleOAuthenticator",
    "local-openshift": "LocalOpenShiftOAuthenticator",
    "null": "NullAuthenticator",
    "openshift": "OpenShiftOAuthenticator",
    "pam": "PAMAuthenticator",
    "shared-password": "SharedPasswordAuthenticator",
}

CLASSES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "Accountable": (
        ("Authenticator", "LoggingConfigurable",),
        "",
    ),
    "Application": (
        ("SingletonConfigurable", "LoggingConfigurable",),
        "log_datefmt:text log_format:text log_level:any logging_config:dict show_config:bool "
        "show_config_json:bool ",
    ),
    "Auth0OAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "allow_unverified_email:bool auth0_domain:text auth0_subdomain:text username_key:text ",
    ),
    "Authenticator": (
        ("LoggingConfigurable",),
        "admin_users:list allow_all:bool allow_existing_users:bool allowed_users:list "
        "any_allow_config:bool auth_refresh_age:int auth_refresh_strict:bool auto_login:bool "
        "auto_login_oauth2_authorize:bool blocked_users:list delete_invalid_users:bool "
        "enable_auth_state:bool manage_groups:bool manage_roles:bool otp_prompt:any "
        "post_auth_hook:code|null reconcile_auth_state_hook:code|null refresh_pre_spawn:bool "
        "refresh_pre_stop:bool request_otp:bool reset_managed_roles_on_startup:bool username_map:dict "
        "username_pattern:text whitelist:list ",
    ),
    "AzureAdOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "graph_url:text tenant_id:text user_groups_claim:text ",
    ),
    "BitbucketOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "allowed_teams:list team_whitelist:list ",
    ),
    "CILogonOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "additional_username_claims:list allowed_idps:dict cilogon_host:text idp:text idp_whitelist:list "
        "idps:dict scope:list shown_idps:list skin:text strip_idp_domain:bool username_claim:text ",
    ),
    "Choosing": (
        ("DockerSpawner", "Spawner", "LoggingConfigurable",),
        "servers_file:text ",
    ),
    "ConfigurableHTTPProxy": (
        ("Proxy", "LoggingConfigurable",),
        "api_url:text auth_token:text check_running_interval:int command:command command_umask:int "
        "concurrency:int debug:bool log_level:any pid_file:text ",
    ),
    "CryptKeeper": (
        ("SingletonConfigurable", "LoggingConfigurable",),
        "keys:list n_threads:int ",
    ),
    "DockerSpawner": (
        ("Spawner", "LoggingConfigurable",),
        "allowed_images:any|dict|list certs_volume_name:text client_kwargs:dict container_image:text "
        "container_ip:text container_name_template:text container_port:int container_prefix:text "
        "cpu_limit:code|float|int escape:any extra_create_kwargs:code|dict extra_host_config:code|dict "
        "format_volume_name:any host_ip:text hub_ip_connect:text image:text "
        "image_whitelist:any|dict|list links:dict mem_limit:code|size mounts:list move_certs_image:text "
        "name_template:text network_name:text post_start_cmd:text prefix:text pull_policy:any "
        "read_only_volumes:dict remove:bool remove_containers:bool tls:any tls_assert_hostname:any "
        "tls_ca:any tls_cert:any tls_config:dict tls_key:any tls_verify:any use_docker_client_env:bool "
        "use_internal_hostname:bool use_internal_ip:bool volumes:dict ",
    ),
    "DummyAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "password:text ",
    ),
    "GenericOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "claim_groups_key:code|text extra_params:dict tls_verify:bool username_key:code|text ",
    ),
    "GitHubOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "allowed_organizations:list github_api:text github_client_id:text github_client_secret:text "
        "github_organization_whitelist:list github_url:text populate_teams_in_auth_state:bool ",
    ),
    "GitLabOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "allowed_gitlab_groups:list allowed_project_ids:list gitlab_api:text gitlab_api_version:any "
        "gitlab_group_whitelist:list gitlab_project_id_whitelist:list gitlab_url:text ",
    ),
    "GlobusOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "admin_globus_groups:list allowed_globus_groups:list exclude_tokens:list globus_groups_url:text "
        "globus_local_endpoint:text identity_provider:text revocation_url:text "
        "revoke_tokens_on_logout:bool username_from_email:bool ",
    ),
    "GoogleOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "admin_google_groups:dict allowed_google_groups:dict google_api_url:text "
        "google_group_whitelist:dict google_service_account_keys:dict gsuite_administrator:dict "
        "hosted_domain:list include_nested_groups:bool strip_domain:bool ",
    ),
    "HubagentAuthenticator": (
        ("Accountable", "NativeAuthenticator", "Authenticator", "LoggingConfigurable",),
        "admins:list auth_refresh_age:int one_time_dir:text ",
    ),
    "HubagentSpawner": (
        ("Choosing", "DockerSpawner", "Spawner", "LoggingConfigurable",),
        "activity_interval_s:int agent_socket:text disable_user_config:bool http_timeout:int "
        "keep_busy_s:float|int poll_interval:int start_timeout:int unvisited_s:float|int ",
    ),
    "JupyterHub": (
        ("Application", "SingletonConfigurable", "LoggingConfigurable",),
        "active_server_limit:int active_user_window:int activity_resolution:int admin_access:bool "
        "admin_users:list allow_existing_invalid_named_servers:any allow_named_servers:bool "
        "answer_yes:bool api_page_default_limit:int api_page_max_limit:int api_tokens:dict "
        "authenticate_prometheus:bool authenticator_class:any base_url:text bind_url:text "
        "cleanup_proxy:bool cleanup_servers:bool concurrent_spawn_limit:int config_file:text "
        "confirm_no_ssl:bool cookie_host_prefix_enabled:bool cookie_max_age_days:float|int "
        "cookie_secret:any|text cookie_secret_file:text custom_scopes:dict data_files_path:text "
        "db_kwargs:dict db_url:text debug_db:bool debug_proxy:bool default_server_name:text "
        "default_url:code|text external_ssl_authorities:dict extra_handlers:code extra_log_file:text "
        "extra_log_handlers:code extra_user_scopes:list forwarded_host_header:text generate_certs:bool "
        "generate_config:bool hub_bind_url:text hub_connect_ip:text hub_connect_port:int "
        "hub_connect_url:text hub_ip:text hub_port:int hub_routespec:text hub_socket_mode:int "
        "implicit_spawn_seconds:float|int init_spawners_timeout:int internal_certs_location:text "
        "internal_ssl:bool ip:text jinja_environment_options:dict last_activity_interval:int "
        "load_groups:dict load_roles:list logo_file:text named_server_limit_per_user:code|int "
        "oauth_require_pkce:bool oauth_token_expires_in:int pid_file:text port:int proxy_api_ip:text "
        "proxy_api_port:int proxy_auth_token:text proxy_check_interval:int proxy_class:any "
        "proxy_cmd:command public_url:text recreate_internal_certs:bool redirect_to_server:bool "
        "reset_db:bool service_check_interval:int service_tokens:dict services:list "
        "shutdown_on_logout:bool spawner_class:any ssl_cert:text ssl_key:text subdomain_hook:code|text "
        "subdomain_host:text template_paths:list template_vars:dict token_expires_in_max_seconds:int "
        "tornado_settings:dict trust_user_provided_tokens:bool trusted_alt_names:list "
        "trusted_downstream_ips:list upgrade_db:bool use_legacy_stopped_server_status_code:bool "
        "user_redirect_hook:code|null ",
    ),
    "LocalAuth0OAuthenticator": (
        ("LocalAuthenticator", "Auth0OAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "add_user_cmd:command allowed_groups:list create_system_users:bool group_whitelist:list "
        "uids:dict ",
    ),
    "LocalAzureAdOAuthenticator": (
        ("LocalAuthenticator", "AzureAdOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalBitbucketOAuthenticator": (
        ("LocalAuthenticator", "BitbucketOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalCILogonOAuthenticator": (
        ("LocalAuthenticator", "CILogonOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalGenericOAuthenticator": (
        ("LocalAuthenticator", "GenericOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalGitHubOAuthenticator": (
        ("LocalAuthenticator", "GitHubOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalGitLabOAuthenticator": (
        ("LocalAuthenticator", "GitLabOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalGlobusOAuthenticator": (
        ("LocalAuthenticator", "GlobusOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalGoogleOAuthenticator": (
        ("LocalAuthenticator", "GoogleOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalOpenShiftOAuthenticator": (
        ("LocalAuthenticator", "OpenShiftOAuthenticator", "OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "",
    ),
    "LocalProcessSpawner": (
        ("Spawner", "LoggingConfigurable",),
        "interrupt_timeout:int kill_timeout:int popen_kwargs:dict shell_cmd:command term_timeout:int ",
    ),
    "LoggingConfigurable": (
        (),
        "",
    ),
    "NativeAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "allow_2fa:bool allow_self_approval_for:null|text allowed_failed_logins:int "
        "ask_email_on_signup:bool check_common_password:bool delete_firstuse_db_after_import:bool "
        "enable_signup:bool firstuse_db_path:text import_from_firstuse:bool minimum_password_length:int "
        "open_signup:bool recaptcha_key:text recaptcha_secret:text seconds_before_next_try:int "
        "secret_key:text self_approval_email:list self_approval_server:dict tos:text ",
    ),
    "NullAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "",
    ),
    "OAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "admin_groups:list allow_all:bool allow_existing_users:bool allowed_groups:list "
        "allowed_scopes:list auth_state_groups_key:code|text authorize_url:text basic_auth:bool "
        "client_id:text client_secret:text custom_403_message:text enable_pkce:bool "
        "extra_authorize_params:dict http_request_kwargs:dict login_service:text "
        "logout_redirect_url:text modify_auth_state_hook:code|null oauth_callback_url:text "
        "refresh_user_hook:code|null scope:list token_params:dict token_url:text "
        "userdata_from_id_token:bool userdata_params:dict userdata_token_method:text userdata_url:text "
        "username_claim:code|text validate_server_cert:bool ",
    ),
    "OpenShiftOAuthenticator": (
        ("OAuthenticator", "Authenticator", "LoggingConfigurable",),
        "ca_certs:text openshift_auth_api_url:text openshift_rest_api_url:text openshift_url:text "
        "validate_cert:bool ",
    ),
    "PAMAuthenticator": (
        ("LocalAuthenticator", "Authenticator", "LoggingConfigurable",),
        "admin_groups:list check_account:bool encoding:text executor_threads:int open_sessions:bool "
        "pam_normalize_username:bool service:text ",
    ),
    "Proxy": (
        ("LoggingConfigurable",),
        "extra_routes:dict should_start:bool ",
    ),
    "SharedPasswordAuthenticator": (
        ("Authenticator", "LoggingConfigurable",),
        "admin_password:null|text password_groups:dict user_password:null|text ",
    ),
    "SimpleLocalProcessSpawner": (
        ("LocalProcessSpawner", "Spawner", "LoggingConfigurable",),
        "home_dir_template:text ",
    ),
    "SingletonConfigurable": (
        ("LoggingConfigurable",),
        "",
    ),
    "Spawner": (
        ("LoggingConfigurable",),
        "apply_user_options:code|dict|null args:list auth_state_hook:code|null cmd:command|null "
        "consecutive_failure_limit:int cpu_guarantee:float|int|null cpu_limit:float|int|null debug:bool "
        "default_url:text disable_user_config:bool env_keep:list environment:dict "
        "group_overrides:code|dict http_timeout:int hub_connect_url:null|text ip:text "
        "mem_guarantee:null|size mem_limit:null|size notebook_dir:text "
        "oauth_client_allowed_scopes:code|list oauth_roles:code|list options_form:code|text "
        "options_from_form:code|text poll_interval:int poll_jitter:float|int port:int "
        "post_stop_hook:code|null pre_spawn_hook:code|null progress_ready_hook:code|null "
        "server_token_scopes:code|list ssl_alt_names:code|list ssl_alt_names_include_local:bool "
        "start_timeout:int ",
    ),
    "SwarmSpawner": (
        ("DockerSpawner", "Spawner", "LoggingConfigurable",),
        "extra_container_spec:dict extra_endpoint_spec:dict extra_placement_spec:dict "
        "extra_resources_spec:dict extra_task_spec:dict volume_driver:text volume_driver_options:dict ",
    ),
    "SystemUserSpawner": (
        ("DockerSpawner", "Spawner", "LoggingConfigurable",),
        "homedir_bind_propagation:text host_homedir_format_string:text image_homedir_format_string:text "
        "run_as_root:bool ",
    ),
}
