"""Which tests are slow: `pytest -m "not slow"` leaves them out, and takes about a minute on two cores.

Listed is what takes more than about a sixth of a second of processor, what starts programs, and what repeats one idea
over many cases. CI runs everything. `pytest -n 0 -m "not slow" --durations=30` shows what has become slow since.
"""

from __future__ import annotations

import pytest

FIXTURES = {
    "converter": "LibreOffice is started",
    "program": "a program is started, except for the host in memory (see `test_hosts`)",
    "opener": "a program is started",
    "site": "the documentation is built",
}
"""What makes every test slow that uses it."""

MODULES = (
    *("test_campaigns", "test_addin_grammar", "test_addin_office", "test_addin_verify"),
    "test_addin_wine",
    *("test_candidates", "test_excel_chain", "test_excel_one_turn"),
    *("test_extension", "test_extension_install", "test_extension_office", "test_lesson_claims"),
    *("test_lesson_optimizers", "test_lessons", "test_libreoffice", "test_limits", "test_live_attach"),
    "test_live_faults",
    *("test_growth", "test_interruption", "test_live_libreoffice", "test_live_slow", "test_mnist_golden"),
    *("test_mnist_workbooks", "test_notebooks", "test_odd_settings", "test_outputs_kept"),
    *("test_formats_as_office", "test_page", "test_page_live", "test_page_refreshes", "test_panel"),
    *("test_parallel", "test_passengers", "test_random_sheets", "test_readme", "test_recalculation"),
    *(
        "test_saved_edits",
        "test_seeds",
        "test_server",
        "test_live_server",
        "test_service",
        "test_strangers",
        "test_streaming",
    ),
    *("test_udfs_live", "test_web_attacks"),
)
"""Modules of which every test is slow."""

TESTS = {
    "test_column_widths": "test_an_open_document_as_libreoffice_reads_it",
    "test_recalculator": "test_edits_end_where_a_fresh_calculation_does",
    "test_live_web": (
        "test_training_to_the_end_is_one_change test_a_person_edits_data_and_types_while_it_trains "
        "test_reading_is_quick_while_it_trains test_sheets_of_commands"
    ),
    "test_architecture": "test_functions_are_named_where_they_are_declared test_slow_tests_exist",
    "test_addin_build": (
        "test_any_property_can_be_read_back test_compression_round_trip_of_any_bytes "
        "test_container_gives_every_stream_back "
    ),
    "test_addin_generated": "test_names_that_are_fine",
    "test_addin_install": (
        "test_build_command test_on_linux_it_says_what_to_do test_uninstall_ends_the_trainer_and_says_what_stays "
    ),
    "test_analysts_models": ("test_gradient test_in_single_precision_it_is_the_same test_training_lowers_the_loss "),
    "test_evolution": (
        "test_many_minima test_without_bounds_the_box_is_said_and_gets_wider test_the_same_seed_gives_the_same_result "
        "test_names_of_our_own test_whole_numbers_beside_others_by_branch_and_bound test_a_longer_round_trip_is_proved "
        "test_what_cannot_be_batched_is_tried_one_by_one test_annealing_finds_its_way_among_many_minima "
        "test_a_slow_clock_changes_nothing "
        "test_the_gear_train_is_proved_where_it_is_larger test_whole_prices_by_branch_and_bound "
        "test_what_interval_arithmetic_proves test_later_populations_find_what_the_first_has_missed "
    ),
    "test_value_variables": "test_the_optimum_is_that_of_all_points",
    "test_runaway": "test_quasi_complete_separation test_complete_separation test_classes",
    "test_live_search": "test_train_with_whole_numbers",
    "test_integers": (
        "test_the_time_limit_says_how_good_the_best_is test_solver_s_own_time_limit_and_tolerance "
        "test_stopped_by_a_person_it_keeps_the_best test_a_portfolio_of_few_papers test_a_portfolio_of_whole_lots "
        "test_the_nearest_point_of_a_lattice test_a_convex_constraint test_what_whole_numbers_exclude_is_named "
    ),
    "test_animate": (
        "test_a_long_training_keeps_few_snapshots test_a_notebook_shows_it test_a_picture_that_moves "
        "test_a_training_that_diverges_can_be_watched test_command test_command_json "
        "test_ctrl_c_ends_the_training_and_the_picture_is_made test_mini_batches test_mp4_with_a_program_that_fails "
        "test_one_start_is_shown test_the_same_training_gives_the_same_bytes test_without_charts_the_loss_is_shown "
    ),
    "test_bad_input": "test_blank_parameters_count_as_zero test_workbook",
    "test_benchmarks": "test_one_session_per_run test_other_losses_are_refused",
    "test_blocks": "test_large_sheets_are_planned_fast test_trimmed_blocks_calculate_the_same",
    "test_bound_example": (
        "test_bytes_are_not_scaled_and_one_example_is_float32_unless_told test_validation_and_test_parts "
        "test_the_mean_over_the_sheets_of_all_samples test_training_is_that_of_hand_written_code "
    ),
    "test_bound_input": "test_every_kind_of_file test_files_that_are_none",
    "test_bound_rows": (
        "test_batch_sizes test_each_part_is_judged_by_its_own_sums test_how_many_are_shown_does_not_matter "
        "test_index_by_a_number_from_the_data test_like_all_data_in_the_sheet test_the_loss_over_all_samples "
    ),
    "test_charts": "test_charts_of_our_workbooks",
    "test_check": "test_exactly_on_a_kink test_examples test_titanic_solved_by_excel",
    "test_checkpoints": (
        "test_a_finished_run_goes_on test_damaged_states test_interrupted_restarts test_resumed_bit_for_bit "
    ),
    "test_cli": (
        "test_a_terminal_obeys_nothing_in_a_workbook test_every_help_page_is_instant test_functions "
        "test_json_and_nothing_else test_new test_plain_text_without_a_terminal test_process "
        "test_reader_that_goes_away "
    ),
    "test_cli_train": (
        "test_a_model_that_was_set_up_for_solver_just_trains test_examples test_gallery test_restarts "
        "test_solver_model_is_found test_titanic "
    ),
    "test_consistent_file": ("test_libreoffice_calculates_what_has_no_value test_one_copy_that_cannot_be_calculated "),
    "test_constraints": (
        "test_a_line_search_may_leave_the_domain test_a_parameter_that_only_a_constraint_reads test_curve_fitting "
        "test_deterministic test_hock_schittkowski test_infeasible test_large_linear_programme "
        "test_many_bounded_parameters test_many_parameters_and_a_constraint test_portfolio "
        "test_solving_again_stays_there test_textbook test_units_make_no_difference "
    ),
    "test_data_command": "test_mnist",
    "test_diagnosis": (
        "test_lanczos_agrees_with_the_whole_matrix test_one_formula_dies_in_training "
        "test_solved_sheets_have_no_warnings_and_it_is_fast test_stalled_run test_titanic_dead_units "
        "test_titanic_raw_columns_are_named test_titanic_scales "
    ),
    "test_docs": "test_commands_run test_every_link_leads_somewhere test_programs_run",
    "test_endings": (
        "test_converged_means_certified_digits test_overfitting_is_said test_within_bounds "
        "test_without_the_least_squares_structure "
    ),
    "test_examples": (
        "test_how_unequal_the_columns_are test_same_as_the_committed_file test_same_bytes_every_time "
        "test_titanic_is_the_published_table test_titanic_rows_are_shuffled "
    ),
    "test_excel_host": (
        "test_a_killed_office test_an_excel_without_dynamic_arrays "
        "test_reads_the_titanic_workbook_as_the_file_is_read test_the_loss_of_the_titanic_network_is_excels "
    ),
    "test_export": (
        "test_hostile_file_names test_hostile_names_and_texts test_run_as_its_message_says "
        "test_same_loss_and_gradient test_training_the_exported_module "
    ),
    "test_field_words": "test_a_loss_has_a_gradient",
    "test_file_host": "test_formulas_agree_with_openpyxl test_titanic test_values_agree_with_openpyxl",
    "test_file_host_safety": (
        "test_bad_file test_large_member_that_is_not_read_does_no_harm test_many_sheets_take_no_longer_each "
        "test_random_damage_to_the_archive test_random_damage_to_the_directory test_random_damage_to_the_parts "
    ),
    "test_file_host_save": "test_libreoffice_opens_the_patched_file test_round_trip test_titanic",
    "test_find_lr": (
        "test_at_a_minimum test_command test_every_optimizer test_no_momentum test_suggestion_brings_the_loss_down "
    ),
    "test_function_engines": "test_no_exception_is_without_a_reason test_the_engines_agree_with_the_examples",
    "test_functions": "test_example_with_parameters",
    "test_functions_in_batches": "test_a_batch_is_the_mean_of_its_rows",
    "test_functions_classic": "test_rastrigin test_rosenbrock test_rosenbrock_of_many",
    "test_functions_neural": "test_a_network_learns test_whatever_stands_in_the_cells",
    "test_hostile": "test_bombs",
    "test_json_messages": "test_what_is_sent_arrives",
    "test_least_squares": "test_certified_digits test_restarts_are_polished_with_it",
    "test_load": (
        "test_an_open_book_of_xlwings test_neither_xlwings_nor_openpyxl_is_imported "
        "test_macros_and_links_are_switched_off test_an_office_that_hangs_is_ended "
    ),
    "test_live_bound": "test_an_edited_parameter_is_taken_up",
    "test_live_notices": "test_export_beside_the_workbook",
    "test_live_tracking": (
        "test_a_parameter_more_during_training test_a_row_is_inserted_between_the_parameters_during_training "
        "test_rows_are_inserted_during_training "
    ),
    "test_live_trainer": (
        "test_a_changed_formula_recompiles test_edited_data_are_taken_up test_inserted_rows_move_the_parameters "
        "test_log_sheet_grows "
    ),
    "test_live_watch": (
        "test_a_pause_is_there_for_editing test_a_setting_is_noticed_at_the_next_refresh "
        "test_a_workbook_that_is_just_being_closed test_an_edit_after_the_last_step_is_named "
        "test_an_edit_is_noticed_at_the_next_refresh test_parameters_that_move_before_they_are_written "
        "test_the_reply_to_pause_has_the_step_of_the_pause "
    ),
    "test_log_sheet": ("test_everything_else_stays test_libreoffice_shows_the_log test_look test_twice_is_once "),
    "test_logbook": ("test_kept_records test_learning_rate_plot test_light_imports test_plot test_plot_of_anything "),
    "test_lowering": (
        "test_convolution test_criteria_that_differ_from_copy_to_copy test_the_program_needs_nothing_but_torch "
    ),
    "test_outputs": "test_no_output_is_an_input test_what_is_ours_is_replaced",
    "test_package": "test_imports_are_declared",
    "test_plots": (
        "test_plot_has_the_fit_beside_it test_plot_marks_the_best_step_and_chooses_its_axes "
        "test_the_fit_is_that_of_the_trained_parameters test_the_loss_of_all_rows_is_no_training_loss "
    ),
    "test_predict": "test_data_without_a_known_training_part test_one_example_without_its_label",
    "test_proof": "test_a_sum_of_many_rows_that_cancel",
    "test_references": "test_values_are_those_of_libreoffice",
    "test_restarts": (
        "test_the_polish_takes_no_more_threads_than_the_run test_bit_for_bit test_bounds_are_kept "
        "test_bounds_are_kept_by_every_method test_groups_change_nothing "
        "test_momentum_and_decay_apply test_start_entries test_starts_that_blow_up test_the_best_is_kept "
        "test_the_same_as_one_by_one "
    ),
    "test_report_sheet": (
        "test_beside_the_log test_everything_else_stays test_libreoffice_shows_the_report test_looks "
        "test_many_parameters_and_observations test_a_persons_own_sheet_is_left_alone test_twice_is_once "
    ),
    "test_ribbon": "test_a_whole_click test_an_example_opens_as_a_fresh_copy test_no_other_action_does_anything",
    "test_quantiles": (
        "test_below_the_beta_quantile_lies_the_share test_first_and_second_derivatives_are_those_of_differences "
        "test_quantiles_with_degrees_of_freedom test_the_gamma_quantile_is_scipys_in_a_program "
    ),
    "test_samples": (
        "test_a_polynomial_in_batches test_batch_sizes test_epochs_and_steps test_errors_in_the_loss_cell "
        "test_same_as_a_hand_written_loop test_validation_of_the_wrong_shape test_validation_rows "
    ),
    "test_semantics": "test_rule",
    "test_stepped_formulas": (
        "test_a_parameter_gives_the_same_as_a_constant test_random_numbers_are_written_as_python_writes_them "
        "test_they_are_searched test_annealing_and_wiggle_take_them "
    ),
    "test_live_sheet": "test_both_sheets_together_with_edits_and_names",
    "test_recovery": "test_a_process_that_is_killed_leaves_the_last_whole_state",
    "test_sources": "test_csv_speed_and_memory test_damaged_files test_mnist",
    "test_subtotals": "test_a_filtered_file_beside_libreoffice",
    "test_surface": (
        "test_a_path_that_diverges_does_not_shrink_the_rest test_a_slice_has_its_exact_gradient_and_the_difference "
        "test_a_slice_reaches_past_the_bottom_of_its_valley test_command test_command_for_one test_command_json "
        "test_data_from_a_file test_gradient_and_difference_agree_where_it_is_smooth "
        "test_losses_at_many_points_are_those_of_one_by_one test_more_than_two_are_refused "
        "test_one_parameter_has_its_path_on_the_curve test_relief "
        "test_the_losses_of_a_surface_are_those_of_the_sheet test_the_path_is_that_of_the_last_training "
        "test_the_path_is_that_of_the_training test_the_same_surface_gives_the_same_bytes "
        "test_what_is_not_a_number_is_a_gap test_without_names "
    ),
    "test_training": (
        "test_annealing_leaves_a_local_minimum test_every_optimizer_gets_there test_same_as_torch "
        "test_same_seed_same_run "
    ),
    "test_udfs": (
        "test_a_change_of_the_sheet_is_noticed test_a_recalculation_does_not_compile_again test_gradient_in_excel "
        "test_importing_needs_no_excel test_many_cells "
    ),
}
"""The slow tests of the other modules; all cases of each."""


def is_slow(item: pytest.Item) -> bool:
    """Whether a collected test belongs to the slow ones."""
    module, name = item.path.stem, getattr(item, "originalname", item.name)
    used = FIXTURES.keys() & getattr(item, "fixturenames", ())
    in_memory = getattr(getattr(item, "callspec", None), "params", {}).get("program") == "memory"
    return module in MODULES or name in TESTS.get(module, "").split() or (bool(used) and not in_memory)
