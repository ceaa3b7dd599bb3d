"""Our admin site: stock Django admin with our theme and an index that shows the state of the system."""

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class PersonalizationAdminSite(admin.AdminSite):
    """The one admin site of the project."""

    site_header = "Personalization"
    site_title = "Personalization"
    index_title = "Overview"


class AdminConfig(DjangoAdminConfig):
    """Make `admin.site` ours everywhere."""

    default_site = "personalization.adminsite.PersonalizationAdminSite"
