app_name = "safe_restart"
app_title = "Safe Restart"
app_publisher = "The safe_restart developers"
app_description = "Restart a bench without breaking a background job"
app_email = "safe-restart@users.noreply.github.com"
app_license = "mit"

add_to_apps_screen = [
	{
		"name": "safe_restart",
		"logo": "/assets/safe_restart/images/safe_restart.svg",
		"title": "Safe Restart",
		"route": "/app/safe-restart",
		"has_permission": "safe_restart.desk.permission.has_role",
	}
]

after_install = "safe_restart.desk.install.after_install"
before_uninstall = "safe_restart.desk.install.before_uninstall"
after_migrate = ["safe_restart.desk.journal_sync.sync"]

scheduler_events = {
	"all": ["safe_restart.desk.tasks.release_delayed_jobs", "safe_restart.desk.journal_sync.sync"]
}

doctype_list_js = {
	"RQ Job": "safe_restart/rq_list.js",
	"RQ Worker": "safe_restart/rq_list.js",
}
