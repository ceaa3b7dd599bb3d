"""Addresses of the demo's storefront, below `/shop/`, and of the front door."""

from django.urls import path

from personalization.demo import views

root = [path("", views.front_door, name="front-door")]
shop = [
    path("", views.home, name="shop-home"),
    path("c/<str:key>/", views.category, name="shop-category"),
    path("p/<str:key>/", views.product, name="shop-product"),
    path("cart/", views.cart, name="shop-cart"),
    path("search/", views.search, name="shop-search"),
    path("login/", views.log_in, name="shop-login"),
    path("products.json", views.products, name="shop-products"),
    path("progress.json", views.progress, name="shop-progress"),
    path("tile/<str:key>.svg", views.tile, name="shop-tile"),
]
